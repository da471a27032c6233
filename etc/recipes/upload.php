<?php
// An upload whose files the server has stored already (gateway.upload; UPLOADS AS FILES in argand.conf(5)):
// they are renamed to where they are to stay, and the answer says what they were.
//     { path = "/upload.php"; gateway: { backend = "php"; upload = "/var/lib/app/incoming"; }; }
// STORE must be in the same file system as that directory, so that renaming copies nothing.
$store = $_SERVER['STORE'];
$files = [];

foreach ($_POST['argand_upload'] ?? [] as $file) {
    $kept = $store . '/' . bin2hex(random_bytes(16));
    if (!rename($file['path'], $kept)) {
        http_response_code(500);
        exit;
    }
    $files[] = ['name' => $file['name'], 'size' => (int)$file['size'],
                'sha256' => $file['sha256'], 'kept' => $kept];
}

header('Content-Type: application/json');
echo json_encode(['title' => $_POST['title'] ?? null, 'files' => $files]);
