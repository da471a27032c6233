# Links for routes with signed_links; see argand.conf(5), SIGNED LINKS.
#
#     ruby links.rb /etc/argand/links.key /files/a.iso 3600
require "erb"
require "openssl"

# The URL's path and query. path is not encoded; segments: all below so many of its segments.
def link_sign(secret, key, path, query: "", seconds: 3600, methods: "", segments: "", network: "", rate: "")
  front = "v1~#{key}~#{Time.now.to_i + seconds}~#{methods}~#{segments}~#{network}~#{rate}"
  signed = segments == "" ? path : "/" + path.split("/")[1, segments].join("/")
  text = "#{front}\n#{signed}\n#{segments == "" ? query : ""}"
  mac = [OpenSSL::HMAC.digest("SHA256", secret, text)].pack("m0").tr("+/", "-_").delete("=")
  url = path.split("/", -1).map { |s| ERB::Util.url_encode(s) }.join("/")
  "#{url}?#{query == "" ? "" : query + "&"}link=#{front}~#{mac}"
end

if __FILE__ == $PROGRAM_NAME
  file, path, seconds = ARGV
  secret = File.binread(file).sub(/[\r\n]+\z/, "")
  puts link_sign(secret, File.basename(file).split(".")[0], path, seconds: seconds.to_i)
end
