#!/bin/sh
# certificates.sh FOLDER - a private authority and what it signs, for tests: ca.crt; server.crt, server.key and server.pem (both) for
# 127.0.0.1, other.pem for another name, client.cert and client.key for whoever comes.
set -eu
cd "$1"

make_key ()
{
    openssl ecparam -name prime256v1 -genkey -noout -out "$1"
}

# sign NAME KEY CERTIFICATE: with what the file extension says
sign ()
{
    make_key "$2"
    openssl req -new -key "$2" -subj "/CN=$1" | openssl x509 -req -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 -extfile extension \
        -out "$3" 2> sign.log
}

make_key ca.key
openssl req -x509 -key ca.key -days 2 -subj "/CN=an authority of our own" -out ca.crt
echo "subjectAltName = IP:127.0.0.1" > extension
sign "the registry" server.key server.crt
cat server.crt server.key > server.pem
echo "subjectAltName = DNS:other.example.com" > extension
sign "another" other.key other.crt
cat other.crt other.key > other.pem
echo "extendedKeyUsage = clientAuth" > extension
sign "a client" client.key client.cert
