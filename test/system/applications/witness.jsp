<%@ page contentType="text/plain" session="false" trimDirectiveWhitespaces="true"
	import="java.nio.charset.StandardCharsets,java.nio.file.*,java.util.*" %>
<%-- A witness as witness.py is: the servlet for every path (see witness.xml), which writes down what Tomcat says. --%>
<%!
	static String quoted(String s) {
		if (s == null)
			return "null";
		StringBuilder out = new StringBuilder("\"");
		for (char c : s.toCharArray())
			out.append(c < ' ' || c > '~' || c == '"' || c == '\\' ? String.format("\\u%04x", (int)c) : "" + c);
		return out.append('"').toString();
	}

	static String list(List<String> of) {
		return "[" + String.join(",", of) + "]";
	}

	static synchronized void keep(String line) throws java.io.IOException {
		Files.write(Paths.get(System.getProperty("argand.record")), line.getBytes(StandardCharsets.US_ASCII),
			StandardOpenOption.CREATE, StandardOpenOption.APPEND);
	}
%>
<%
	List<String> fields = new ArrayList<>(), trailers = new ArrayList<>();
	int length = request.getInputStream().readAllBytes().length;
	for (String name : Collections.list(request.getHeaderNames()))
		for (String value : Collections.list(request.getHeaders(name)))
			fields.add("[" + quoted(name) + "," + quoted(value) + "]");
	if (request.isTrailerFieldsReady())
		for (Map.Entry<String, String> e : request.getTrailerFields().entrySet())
			trailers.add("[" + quoted(e.getKey()) + "," + quoted(e.getValue()) + "]");
	String info = request.getPathInfo();
	keep("{\"method\":" + quoted(request.getMethod()) + ",\"target\":" + quoted(request.getRequestURI()) +
		",\"scheme\":" + quoted(request.getScheme()) + ",\"client\":" + quoted(request.getRemoteAddr()) +
		",\"user\":" + quoted(request.getRemoteUser()) + ",\"length\":" + length +
		",\"resolved\":[" + quoted(request.getServletPath() + (info == null ? "" : info)) + "]" +
		",\"fields\":" + list(fields) + ",\"trailers\":" + list(trailers) + "}\n");
	String agent = request.getHeader("User-Agent");
	response.setHeader("X-Witness", agent == null ? "" : agent);
%>
seen
