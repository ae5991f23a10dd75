/* registry_rows.h - how registries behave, and what has to come of it.
 *
 * A script is one of lib/fake_registry.py with ' in place of ". Beside what it says, team/app has the tag 1, team/base the blob
 * "layer"; the client knows ann's password for 127.0.0.1 (@HOST) and none for the same server as localhost (@OTHER). */
#ifndef FARM_TEST_REGISTRY_ROWS_H
#define FARM_TEST_REGISTRY_ROWS_H

#include "common/err.h"

typedef enum {
    DO_GET,                     /* the manifest of the tag */
    DO_GET_DIGEST,              /* the same by its digest */
    DO_GET_TWICE,
    DO_ASK,                     /* for the digest of the tag */
    DO_PUT,                     /* a manifest under a tag */
    DO_PUBLISH,                 /* an index, and look whether its tag shows it */
    DO_HEAD,                    /* a blob of team/base */
    DO_BLOB,                    /* the same whole, at most 100 bytes */
    DO_COPY,                    /* it from team/base to team/new */
    DO_PING,
} row_action;

typedef struct {
    const char *rule, *script;
    row_action action;
    err_code code;              /* ERR_NONE: it is done */
    const char *words;          /* that the error has to have */
    int requests;               /* how many it takes; 0: that is not looked at */
    int timeout_ms;             /* of the client; 0: 2,000 */
    int elsewhere;              /* how many requests the other host has; of all these none may show it anything */
} row_t;

#define TYPE "'Content-Type':'application/vnd.oci.image.manifest.v1+json'"
#define BODY "'body':'{#schemaVersion#:2}'"
#define GOOD "'status':200," BODY ",'headers':{" TYPE "}"
#define WITH(headers) "'status':200," BODY ",'headers':{" TYPE "," headers "}"
#define RULES(rules) "{'rules':[" rules "]}"
#define LOGIN "'user':'ann','password':'s3'"
#define BASIC(more) "{'auth':{'kind':'basic'," LOGIN more "}}"
#define BASIC_RULES(rules) "{'auth':{'kind':'basic'," LOGIN "},'rules':[" rules "]}"
#define BEARER(more) "{'auth':{'kind':'bearer'," LOGIN more "}}"
#define BEARER_RULES(rules) "{'auth':{'kind':'bearer'," LOGIN "},'rules':[" rules "]}"
#define TOKEN(answer) BEARER_RULES ("{'path':'^/token','status':200,'body':'" answer "'},{'path':'manifests','authorized':true," GOOD "}")
#define CHALLENGES(values) BEARER (",'challenges':[" values "]")
#define SENT_ON(status, to) BASIC_RULES ("{'path':'blobs','authorized':true,'status':" status ",'headers':{'Location':'" to "'}}," \
                                         "{'path':'/store','status':200,'body':'layer'}")
#define UPLOAD_AT(location) BASIC_RULES ("{'method':'POST','authorized':true,'status':202,'headers':{'Location':'" location "'}}," \
                                         "{'method':'PUT','path':'/store','status':201}")
#define STATUS_ONCE(status) RULES ("{'times':1,'status':" status "}")

static const row_t rows [] = {
    /* who asks */
    { "basic", BASIC (""), DO_GET, ERR_NONE, "", .requests = 2 },
    { "basic, the password is wrong", "{'auth':{'kind':'basic','user':'ann','password':'other'}}", DO_GET, ERR_REGISTRY_DENIED,
      "refuses the user and password in", .requests = 2 },
    { "bearer", BEARER (",'expires_in':300"), DO_GET, ERR_NONE, "", .requests = 3 },
    { "bearer for who is nobody", "{'auth':{'kind':'bearer'}}", DO_GET, ERR_NONE, "", .requests = 3 },
    { "bearer without expires_in", BEARER (""), DO_GET_TWICE, ERR_NONE, "", .requests = 4 },
    { "bearer with expires_in 0", BEARER (",'expires_in':0"), DO_GET_TWICE, ERR_NONE, "", .requests = 4 },
    { "bearer with an expires_in below 0", BEARER (",'expires_in':-5"), DO_GET_TWICE, ERR_NONE, "", .requests = 4 },
    { "bearer with an absurd expires_in", BEARER (",'expires_in':9000000000000000000"), DO_GET, ERR_NONE, "", .requests = 3 },
    { "bearer with expires_in as a text", BEARER (",'expires_in':'soon'"), DO_GET, ERR_NONE, "", .requests = 3 },
    { "access_token in place of token", BEARER (",'token_name':'access_token'"), DO_GET, ERR_NONE, "", .requests = 3 },
    { "an empty token beside access_token", TOKEN ("{#token#:##,#access_token#:#t#}"), DO_GET, ERR_NONE, "", .requests = 3 },
    { "no token in the answer", TOKEN ("{#expires_in#:5}"), DO_GET, ERR_REGISTRY, "its answer has no token", .requests = 2 },
    { "a token with a line break", TOKEN ("{#token#:#a\\\\r\\\\nX-Evil: 1#}"), DO_GET, ERR_REGISTRY, "no token", .requests = 2 },
    { "a token that is a number", TOKEN ("{#token#:5}"), DO_GET, ERR_REGISTRY, "no token", .requests = 2 },
    { "a token service that shows a page", TOKEN ("<html>"), DO_GET, ERR_REGISTRY, "no token", .requests = 2 },
    { "a token service that refuses", BEARER_RULES ("{'path':'^/token','status':401}"), DO_GET, ERR_REGISTRY_DENIED,
      "it refuses the user and password", .requests = 2 },
    { "a token service that forbids", BEARER_RULES ("{'path':'^/token','status':403}"), DO_GET, ERR_REGISTRY_DENIED,
      "it refuses the user and password", .requests = 2 },
    { "a token service that is busy once", BEARER_RULES ("{'path':'^/token','status':503,'times':1}"), DO_GET, ERR_NONE, "", .requests = 5 },
    { "a token service that is down", BEARER_RULES ("{'path':'^/token','status':503}"), DO_GET, ERR_REGISTRY, "it may be busy, or down", .requests = 6 },
    { "a token service that is not there", BEARER_RULES ("{'path':'^/token','status':404}"), DO_GET, ERR_REGISTRY_DENIED,
      "status 404: this is no token service", .requests = 2 },
    { "a token service that sends us on", BEARER_RULES ("{'path':'^/token','status':302,'headers':{'Location':'http://@OTHER/token'}}"),
      DO_GET, ERR_REGISTRY_DENIED, "status 302: this is no token service", .requests = 2 },
    { "a token of 70,000 bytes", BEARER_RULES ("{'path':'^/token','status':200,'length':70000}"), DO_GET, ERR_REGISTRY, "", .requests = 0 },
    { "basic and bearer in one header", CHALLENGES ("'Basic realm=\\\"a, b\\\", Bearer realm=\\\"http://@HOST/token\\\",service=\\\"s\\\"'"),
      DO_GET, ERR_NONE, "", .requests = 3 },
    { "one header for each", CHALLENGES ("'Negotiate','Basic realm=\\\"x\\\"','Bearer realm=\\\"http://@HOST/token\\\"'"), DO_GET, ERR_NONE, "", .requests = 3 },
    { "a bearer that is not quoted", CHALLENGES ("'bearer realm=http://@HOST/token,service=s'"), DO_GET, ERR_NONE, "", .requests = 3 },
    { "a bearer without realm beside basic", BASIC (",'challenges':['Bearer service=\\\"s\\\", Basic realm=\\\"x\\\"']"), DO_GET, ERR_NONE, "", .requests = 2 },
    { "a bearer without realm", CHALLENGES ("'Bearer service=\\\"s\\\"'"), DO_GET, ERR_REGISTRY, "does not say where that is to be had", .requests = 1 },
    { "a login of an unknown kind", CHALLENGES ("'Negotiate','Digest realm=\\\"x\\\"'"), DO_GET, ERR_REGISTRY, "of a kind that is not known", .requests = 1 },
    { "a login of no kind", CHALLENGES (""), DO_GET, ERR_REGISTRY, "does not say of which kind", .requests = 1 },
    { "a challenge that does not end", CHALLENGES ("'Bearer realm=\\\"http://@HOST/token'"), DO_GET, ERR_REGISTRY, "cannot be understood", .requests = 1 },
    { "a realm elsewhere", "{'auth':{'kind':'bearer','realm':'http://@OTHER/token'}}", DO_GET, ERR_NONE, "", .requests = 3, .elsewhere = 1 },
    { "a realm elsewhere that wants a login", BEARER (",'realm':'http://@OTHER/token'"), DO_GET, ERR_REGISTRY_DENIED,
      "it gives none without a login", .requests = 2, .elsewhere = 1 },
    { "a realm that is not encrypted", BEARER (",'realm':'http://auth.example.com/token'"), DO_GET, ERR_REGISTRY_DENIED, "is not encrypted", .requests = 1 },
    { "a realm of another kind", BEARER (",'realm':'ftp://@HOST/token'"), DO_GET, ERR_REGISTRY, "neither http nor https", .requests = 1 },
    { "a realm with a password", BEARER (",'realm':'http://ann:s3@@HOST/token'"), DO_GET, ERR_REGISTRY, "no address that can be used", .requests = 1 },
    { "a realm that is a path", BEARER (",'realm':'/token'"), DO_GET, ERR_REGISTRY, "no address that can be used", .requests = 1 },
    { "a scope that we did not ask for", CHALLENGES ("'Bearer realm=\\\"http://@HOST/token\\\",scope=\\\"repository:team/secret:pull,push,delete\\\"'"),
      DO_GET, ERR_NONE, "", .requests = 3 },
    { "a token that does not help", BEARER_RULES ("{'path':'manifests','status':401,'headers':{'WWW-Authenticate':'Bearer realm=\\\"http://@HOST/token\\\"'}}"),
      DO_GET, ERR_REGISTRY_DENIED, "refuses the user and password", .requests = 3 },
    { "a token that ends between requests", BEARER_RULES ("{'path':'manifests','authorized':true,'skip':1,'times':1,'status':401,"
      "'headers':{'WWW-Authenticate':'Bearer realm=\\\"http://@HOST/token\\\"'}}"), DO_GET_TWICE, ERR_NONE, "", .requests = 6 },
    { "a token that ends in the middle of an upload", "{'mounts':false,'auth':{'kind':'bearer'," LOGIN "},'rules':[{'method':'PUT','times':1,'status':401}]}",
      DO_COPY, ERR_NONE, "", .requests = 0 },
    { "an upload that wants a login for ever", "{'mounts':false,'auth':{'kind':'bearer'," LOGIN "},'rules':[{'method':'PUT','status':401}]}",
      DO_COPY, ERR_REGISTRY, "let us begin the upload and then wants a login", .requests = 0 },
    { "a login where it was sent on to", BASIC_RULES ("{'path':'blobs','authorized':true,'status':307,'headers':{'Location':'http://@OTHER/store'}},"
      "{'path':'/store','status':401,'headers':{'WWW-Authenticate':'Basic realm=\\\"x\\\"'}}"), DO_BLOB, ERR_REGISTRY_DENIED, "status 401", .requests = 3, .elsewhere = 1 },
    { "it forbids", RULES ("{'status':403}"), DO_GET, ERR_REGISTRY_DENIED, "its user may not do that", .requests = 1 },

    /* sent on */
    { "301", SENT_ON ("301", "http://@OTHER/store"), DO_BLOB, ERR_NONE, "", .requests = 3, .elsewhere = 1 },
    { "302", SENT_ON ("302", "http://@OTHER/store"), DO_BLOB, ERR_NONE, "", .requests = 3, .elsewhere = 1 },
    { "303", SENT_ON ("303", "http://@OTHER/store"), DO_BLOB, ERR_NONE, "", .requests = 3, .elsewhere = 1 },
    { "307", SENT_ON ("307", "http://@OTHER/store?signature=1"), DO_BLOB, ERR_NONE, "", .requests = 3, .elsewhere = 1 },
    { "308", SENT_ON ("308", "//@OTHER/store"), DO_BLOB, ERR_NONE, "", .requests = 3, .elsewhere = 1 },
    { "307 of a HEAD", SENT_ON ("307", "http://@OTHER/store"), DO_HEAD, ERR_NONE, "", .requests = 3, .elsewhere = 1 },
    { "to itself", SENT_ON ("307", "/store"), DO_BLOB, ERR_NONE, "", .requests = 3 },
    { "elsewhere and back", BASIC_RULES ("{'path':'blobs','authorized':true,'times':1,'status':307,'headers':{'Location':'http://@OTHER/again'}},"
      "{'path':'/again','status':307,'headers':{'Location':'http://@HOST/v2/team/base/blobs/@LAYER'}}"), DO_BLOB, ERR_NONE, "", .requests = 4, .elsewhere = 1 },
    { "in a circle", RULES ("{'status':302,'headers':{'Location':'/again'}}"), DO_GET, ERR_REGISTRY, "sends us on more than 5 times", .requests = 6 },
    { "to nowhere", RULES ("{'status':302}"), DO_GET, ERR_REGISTRY, "which is no address", .requests = 1 },
    { "to a file", RULES ("{'status':302,'headers':{'Location':'file:///etc/passwd'}}"), DO_GET, ERR_REGISTRY, "no address that can be used", .requests = 1 },
    { "to an address with a user", RULES ("{'status':302,'headers':{'Location':'http://x:y@@HOST/'}}"), DO_GET, ERR_REGISTRY, "no address that can be used", .requests = 1 },
    { "to what is not encrypted", RULES ("{'status':307,'headers':{'Location':'http://store.example.com/'}}"), DO_GET, ERR_REGISTRY_DENIED, "not encrypted", .requests = 1 },
    { "304 without having been asked", RULES ("{'status':304}"), DO_GET, ERR_REGISTRY, "status 304, which makes no sense here", .requests = 1 },
    { "a manifest put and sent on", RULES ("{'method':'PUT','status':307,'headers':{'Location':'http://@OTHER/'}}"), DO_PUT, ERR_REGISTRY,
      "status 307, which makes no sense here", .requests = 1 },

    /* inside: this registry may name what is on this machine, and nothing else inside */
    { "to a private address", SENT_ON ("307", "http://10.11.12.13/store"), DO_BLOB, ERR_REGISTRY_DENIED, "whose address 10.11.12.13 is not one", .requests = 2 },
    { "to one that is a number", SENT_ON ("307", "http://168496141/store"), DO_BLOB, ERR_REGISTRY_DENIED, "whose address 10.11.12.13 is not one", .requests = 2 },
    { "to one in hexadecimal", SENT_ON ("307", "http://0xa.0xb.3085/store"), DO_BLOB, ERR_REGISTRY_DENIED, "whose address 10.11.12.13 is not one", .requests = 2 },
    { "to one that is wrapped", SENT_ON ("307", "http://[::ffff:10.11.12.13]/store"), DO_BLOB, ERR_REGISTRY_DENIED, "is not one that it may name", .requests = 2 },
    { "to the link's", SENT_ON ("307", "http://169.254.169.254/latest/meta-data/"), DO_BLOB, ERR_REGISTRY_DENIED, "list 169.254.169.254 under registry/inside",
      .requests = 2 },
    { "a realm there", BEARER (",'realm':'http://10.11.12.13/token'"), DO_GET, ERR_REGISTRY_DENIED, "whose address 10.11.12.13 is not one", .requests = 1 },
    { "an upload there", UPLOAD_AT ("http://10.11.12.13/store"), DO_COPY, ERR_REGISTRY_DENIED, "whose address 10.11.12.13 is not one", .requests = 0 },

    /* bodies */
    { "an honest one", "{}", DO_GET_DIGEST, ERR_NONE, "", .requests = 1 },
    { "cut short once", RULES ("{'times':1,'length':500," GOOD "}"), DO_GET, ERR_NONE, "", .requests = 2 },
    { "cut short for ever", RULES ("{'length':500," GOOD "}"), DO_GET, ERR_REGISTRY, "the connection failed", .requests = 3 },
    { "longer than said", RULES ("{'length':5," GOOD "}"), DO_GET_DIGEST, ERR_VERIFY, "gives bytes with the digest", .requests = 1 },
    { "announced longer than may be", RULES ("{'length':5000000," GOOD "}"), DO_GET, ERR_REGISTRY, "", .requests = 0 },
    { "an error longer than may be", RULES ("{'status':404,'length':70000}"), DO_GET, ERR_REGISTRY, "", .requests = 0 },
    { "another digest in the header", RULES ("{" WITH ("'Docker-Content-Digest':'@LAYER'") "}"), DO_GET, ERR_VERIFY, "gives bytes with the digest", .requests = 1 },
    { "a digest that is none", RULES ("{" WITH ("'Docker-Content-Digest':'sha256:0'") "}"), DO_GET, ERR_VERIFY, "gives bytes with the digest", .requests = 1 },
    { "a digest of a kind of its own", RULES ("{" WITH ("'Docker-Content-Digest':'md5:0'") "}"), DO_GET, ERR_NONE, "", .requests = 1 },
    { "the digest of the tag by HEAD", "{}", DO_ASK, ERR_NONE, "", .requests = 1 },
    { "a HEAD that does not know it", RULES ("{'method':'HEAD','status':200}"), DO_ASK, ERR_NONE, "", .requests = 2 },
    { "a HEAD that is not allowed", RULES ("{'method':'HEAD','status':405}"), DO_ASK, ERR_NONE, "", .requests = 2 },
    { "a page", RULES ("{'status':200,'body':'<html>','headers':{'Content-Type':'text/html'}}"), DO_GET, ERR_REGISTRY, "'text/html'", .requests = 1 },
    { "a type with a parameter", RULES ("{'status':200," BODY ",'headers':{'Content-Type':'application/vnd.oci.image.manifest.v1+json; charset=utf-8'}}"),
      DO_GET, ERR_NONE, "", .requests = 1 },
    { "a former kind of manifest", RULES ("{'status':200," BODY ",'headers':{'Content-Type':'application/vnd.docker.distribution.manifest.v1+prettyjws'}}"),
      DO_GET, ERR_REGISTRY, "which is no image or index", .requests = 1 },
    { "an empty type", RULES ("{'status':200," BODY ",'headers':{'Content-Type':''}}"), DO_GET, ERR_REGISTRY, "which is no image or index", .requests = 1 },
    { "a HEAD without a length", RULES ("{'method':'HEAD','status':200,'length':null}"), DO_HEAD, ERR_REGISTRY, "does not say how long it is", .requests = 1 },
    { "a HEAD of a blob that is not there", RULES ("{'method':'HEAD','status':404}"), DO_HEAD, ERR_NOT_FOUND, "does not have it", .requests = 1 },
    { "in chunks", RULES ("{'chunks':true," GOOD "}"), DO_GET_DIGEST, ERR_NONE, "", .requests = 1 },
    { "in chunks that are none", RULES ("{'raw':'HTTP/1.1 200 OK\\r\\nTransfer-Encoding: chunked\\r\\n\\r\\nzz\\r\\n'}"), DO_GET, ERR_REGISTRY, "", .requests = 0 },
    { "until the connection ends", RULES ("{'length':null," GOOD "}"), DO_GET_DIGEST, ERR_NONE, "", .requests = 1 },
    { "compressed without having been asked", RULES ("{" WITH ("'Content-Encoding':'gzip'") "}"), DO_GET_DIGEST, ERR_NONE, "", .requests = 1 },
    { "206 of a whole", RULES ("{'status':206,'body':'layer'}"), DO_BLOB, ERR_REGISTRY, "status 206, which makes no sense here", .requests = 1 },
    { "416", RULES ("{'status':416}"), DO_BLOB, ERR_REGISTRY_DENIED, "status 416", .requests = 1 },
    { "another blob", RULES ("{'status':200,'body':'lawyer'}"), DO_BLOB, ERR_VERIFY, "gives bytes with the digest", .requests = 1 },

    /* the line */
    { "HTTP/1.0", RULES ("{'raw':'HTTP/1.0 200 OK\\r\\nContent-Type: application/vnd.oci.image.manifest.v1+json\\r\\n\\r\\n{#schemaVersion#:2}'}"),
      DO_GET_TWICE, ERR_NONE, "", .requests = 2 },
    { "100 before the answer", RULES ("{'raw':'HTTP/1.1 100 Continue\\r\\n\\r\\nHTTP/1.1 200 OK\\r\\nContent-Length: 19\\r\\nContent-Type: "
      "application/vnd.oci.image.manifest.v1+json\\r\\n\\r\\n{#schemaVersion#:2}'}"), DO_GET, ERR_NONE, "", .requests = 1 },
    { "another protocol", RULES ("{'raw':'SSH-2.0-OpenSSH_9.2\\r\\n'}"), DO_GET, ERR_REGISTRY, "does not answer as a registry does", .requests = 1 },
    { "a status that is none", RULES ("{'raw':'HTTP/1.1 abc\\r\\n\\r\\n'}"), DO_GET, ERR_REGISTRY, "", .requests = 0 },
    { "a NUL among the headers", RULES ("{'raw':'HTTP/1.1 200 OK\\r\\nLocation: a\\u0000b\\r\\n\\r\\n'}"), DO_GET, ERR_REGISTRY, "", .requests = 0 },
    { "nothing but a line break", RULES ("{'raw':'\\r\\n\\r\\n'}"), DO_GET, ERR_REGISTRY, "", .requests = 0 },
    { "closed between requests", RULES ("{'close':true," GOOD "}"), DO_GET_TWICE, ERR_NONE, "", .requests = 2 },
    { "hung up once", RULES ("{'times':1,'hang_up':true}"), DO_GET, ERR_NONE, "", .requests = 2 },
    { "hung up for ever", RULES ("{'hang_up':true}"), DO_GET, ERR_REGISTRY, "the connection failed", .requests = 3 },
    { "no answer", RULES ("{'pause':true}"), DO_GET, ERR_REGISTRY, "nothing has come or gone for 200 ms", .requests = 1, .timeout_ms = 200 },
    { "slow headers", RULES ("{'drip_ms':300," WITH ("'A':'1','B':'2','C':'3'") "}"), DO_GET, ERR_NONE, "", .requests = 1 },
    { "headers without end", RULES ("{'drip_ms':100," WITH ("'A':['1','2','3'],'B':'1','C':'1','D':'1','E':'1','F':'1','G':'1','H':'1','I':'1',"
      "'J':'1','K':'1','L':'1','M':'1','N':'1','O':'1','P':'1','Q':'1','R':'1','S':'1','T':'1','U':'1','V':'1','W':'1','X':'1'") "}"),
      DO_GET, ERR_REGISTRY, "", .requests = 1, .timeout_ms = 190 },

    /* not now */
    { "408 once", STATUS_ONCE ("408"), DO_GET, ERR_NONE, "", .requests = 2 },
    { "500 once", STATUS_ONCE ("500"), DO_GET, ERR_NONE, "", .requests = 2 },
    { "502 once", STATUS_ONCE ("502"), DO_GET, ERR_NONE, "", .requests = 2 },
    { "503 once", STATUS_ONCE ("503"), DO_GET, ERR_NONE, "", .requests = 2 },
    { "504 once", STATUS_ONCE ("504"), DO_GET, ERR_NONE, "", .requests = 2 },
    { "500 for ever", RULES ("{'status':500,'body':'{#errors#:[{#code#:#UNKNOWN#,#message#:#disk on fire#}]}'}"), DO_GET, ERR_REGISTRY,
      "status 500 (UNKNOWN: disk on fire); look at the registry's log", .requests = 3 },
    { "500 with a cursor in its words", RULES ("{'status':500,'body':'{#errors#:[{#code#:#a\\\\u001b[2J\\\\nb#}]}'}"), DO_GET, ERR_REGISTRY, "(a [2J b)", .requests = 3 },
    { "500 with words that are none", RULES ("{'status':500,'body':'{#errors#:[[]]}'}"), DO_GET, ERR_REGISTRY, "status 500; look", .requests = 3 },
    { "429, in a second", RULES ("{'times':1,'status':429,'headers':{'Retry-After':'1'}}"), DO_GET, ERR_NONE, "", .requests = 2 },
    { "429, after a time gone by", RULES ("{'times':1,'status':429,'headers':{'Retry-After':'Wed, 21 Oct 2015 07:28:00 GMT'}}"), DO_GET, ERR_NONE, "", .requests = 2 },
    { "429, in many years", RULES ("{'status':429,'headers':{'Retry-After':'Fri, 31 Dec 2099 23:59:59 GMT'}}"), DO_GET, ERR_REGISTRY,
      "it has had too many requests", .requests = 1 },
    { "429, in an hour", RULES ("{'status':429,'headers':{'Retry-After':'3600'}}"), DO_GET, ERR_REGISTRY, "it has had too many requests", .requests = 1 },
    { "429, at an absurd time", RULES ("{'times':1,'status':429,'headers':{'Retry-After':'99999999999999999999999'}}"), DO_GET, ERR_NONE, "", .requests = 2 },
    { "429, at a time below 0", RULES ("{'times':1,'status':429,'headers':{'Retry-After':'-5'}}"), DO_GET, ERR_NONE, "", .requests = 2 },
    { "429, soon", RULES ("{'times':1,'status':429,'headers':{'Retry-After':'soon'}}"), DO_GET, ERR_NONE, "", .requests = 2 },
    { "400", RULES ("{'status':400}"), DO_GET, ERR_REGISTRY_DENIED, "status 400", .requests = 1 },
    { "405", RULES ("{'status':405}"), DO_PUT, ERR_REGISTRY_DENIED, "does it allow pushes", .requests = 1 },
    { "a tag that is not there", RULES ("{'status':404}"), DO_GET, ERR_NOT_FOUND, "has no tag 1 in team/app", .requests = 1 },

    /* manifests are put */
    { "a tag that shows what was put", "{}", DO_PUBLISH, ERR_NONE, "", .requests = 3 },
    { "it stores something else", RULES ("{'method':'PUT','digest':'@LAYER'}"), DO_PUT, ERR_VERIFY, "changes what is sent", .requests = 1 },
    { "it answers 200", RULES ("{'method':'PUT','status':200}"), DO_PUT, ERR_NONE, "", .requests = 1 },
    { "it answers 202", RULES ("{'method':'PUT','status':202}"), DO_PUT, ERR_REGISTRY, "which makes no sense here", .requests = 1 },
    { "the manifest is too large for it", RULES ("{'method':'PUT','status':413}"), DO_PUT, ERR_REGISTRY_DENIED, "smaller uploads", .requests = 1 },
    { "404 after 201", RULES ("{'method':'GET','status':404}"), DO_PUBLISH, ERR_REGISTRY, "has no tag 2", .requests = 3 },
    { "other bytes after 201", RULES ("{'method':'GET'," GOOD "}"), DO_PUBLISH, ERR_REGISTRY, "gives other bytes back than were put", .requests = 3 },

    /* blobs are copied */
    { "it mounts", "{}", DO_COPY, ERR_NONE, "", .requests = 2 },
    { "it mounts with a login", BASIC (""), DO_COPY, ERR_NONE, "", .requests = 4 },
    { "it mounts with a token for both", BEARER (""), DO_COPY, ERR_NONE, "", .requests = 6 },
    { "it has it already", "{'blobs':{'team/new':['layer'],'team/base':['layer']}}", DO_COPY, ERR_NONE, "", .requests = 1 },
    { "it has something of another length", RULES ("{'method':'HEAD','status':200,'length':6}"), DO_COPY, ERR_NONE, "", .requests = 2 },
    { "202 for a mount", "{'mounts':false}", DO_COPY, ERR_NONE, "", .requests = 4 },
    { "405 for a mount", "{'mounts':false,'rules':[{'path':'mount=','status':405}]}", DO_COPY, ERR_NONE, "", .requests = 5 },
    { "201 for the start of an upload", RULES ("{'path':'mount=','status':405},{'method':'POST','status':201}"), DO_COPY, ERR_REGISTRY,
      "as if it were complete", .requests = 0 },
    { "Location on the same host", UPLOAD_AT ("http://@HOST/store?a=1"), DO_COPY, ERR_NONE, "", .requests = 0 },
    { "Location is a path", UPLOAD_AT ("/store"), DO_COPY, ERR_NONE, "", .requests = 0 },
    { "Location is relative", UPLOAD_AT ("../../../../../store"), DO_COPY, ERR_NONE, "", .requests = 0 },
    { "Location on another host", UPLOAD_AT ("http://@OTHER/store?signature=1"), DO_COPY, ERR_NONE, "", .requests = 0, .elsewhere = 1 },
    { "Location is not encrypted", UPLOAD_AT ("http://store.example.com/"), DO_COPY, ERR_REGISTRY_DENIED, "not encrypted", .requests = 0 },
    { "Location is missing", RULES ("{'method':'POST','status':202}"), DO_COPY, ERR_REGISTRY, "which is no address", .requests = 0 },
    { "Location is no address", UPLOAD_AT ("http://[bad"), DO_COPY, ERR_REGISTRY, "which is no address", .requests = 0 },
    { "Location is a file", UPLOAD_AT ("file:///dev/null"), DO_COPY, ERR_REGISTRY, "no address that can be used", .requests = 0 },
    { "Range says that there is more than was sent", "{'mounts':false,'rules':[{'method':'POST','status':202,'headers':{'Location':'/store','Range':'0-99'}},"
      "{'method':'PUT','status':201,'headers':{'Range':'7-2'}}]}", DO_COPY, ERR_NONE, "", .requests = 4 },
    { "416 for the upload", "{'mounts':false,'rules':[{'method':'PUT','status':416}]}", DO_COPY, ERR_REGISTRY_DENIED, "status 416", .requests = 4 },
    { "404 for the upload", "{'mounts':false,'rules':[{'method':'PUT','status':404}]}", DO_COPY, ERR_REGISTRY_DENIED, "status 404", .requests = 4 },
    { "413 for the upload", "{'mounts':false,'rules':[{'method':'PUT','status':413}]}", DO_COPY, ERR_REGISTRY_DENIED, "smaller uploads", .requests = 4 },
    { "202 at its end", "{'mounts':false,'rules':[{'method':'PUT','status':202}]}", DO_COPY, ERR_REGISTRY, "which makes no sense here", .requests = 0 },
    { "204 at its end", "{'mounts':false,'rules':[{'method':'PUT','status':204,'length':null}]}", DO_COPY, ERR_NONE, "", .requests = 4 },
    { "307 at its end", "{'mounts':false,'rules':[{'method':'PUT','status':307,'headers':{'Location':'http://@OTHER/'}}]}", DO_COPY, ERR_REGISTRY,
      "which makes no sense here", .requests = 0 },
    { "500 at its end, once", "{'mounts':false,'rules':[{'method':'PUT','status':500,'times':1}]}", DO_COPY, ERR_NONE, "", .requests = 0 },
    { "hung up at its end, once", "{'mounts':false,'rules':[{'method':'PUT','hang_up':true,'times':1}]}", DO_COPY, ERR_NONE, "", .requests = 0 },
    { "what is to be copied is gone", "{'mounts':false,'rules':[{'method':'GET','status':404}]}", DO_COPY, ERR_VERIFY, "does not have it in team/base", .requests = 3 },
    { "it is of another length", "{'mounts':false,'rules':[{'method':'GET','status':200,'body':'layers'}]}", DO_COPY, ERR_VERIFY,
      "it has 6 bytes in team/base, and 5 were expected", .requests = 3 },
    { "it is another", "{'mounts':false,'rules':[{'method':'GET','status':200,'body':'lawyr'},{'method':'PUT','status':201}]}", DO_COPY, ERR_VERIFY,
      "has the digest", .requests = 4 },
    { "it ends too early", "{'mounts':false,'rules':[{'method':'GET','status':200,'length':null,'body':'lay'}]}", DO_COPY, ERR_REGISTRY,
      "ends 2 bytes too early", .requests = 0 },

    /* is it there */
    { "a registry", "{}", DO_PING, ERR_NONE, "", .requests = 1 },
    { "a registry with a login", BEARER (""), DO_PING, ERR_NONE, "", .requests = 0 },
    { "a server that is none", RULES ("{'status':404}"), DO_PING, ERR_REGISTRY_DENIED, "it does not speak the registry's protocol", .requests = 1 },
    { "a registry that is out of order", RULES ("{'status':500}"), DO_PING, ERR_REGISTRY, "status 500", .requests = 3 },
};

#endif
