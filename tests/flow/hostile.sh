#!/bin/bash
# hostile.sh - a Dockerfile that wants out: the worker's key and state, the door's password, other attempts, sockets and processes
# of the host are out of its reach, with either isolation; what the builder keeps of other builds with oci alone.
. "${top_srcdir:-.}/tests/lib/farm.sh"
farm_up
grep -q "the builder's user is own" "$farm/worker-$native_name.log" \
    || skip_all "this host gives builders no namespaces: $(grep "builder's user" "$farm/worker-$native_name.log")"

# hostile NAME < Dockerfile: build it, whatever comes of it. Nothing of the host may be in its log, and it must not say "reached"
hostile ()
{
    local folder id
    folder=$(context "$1")
    cp -a "$work/tools/." "$folder/"
    farmctl submit --no-cache --whole-context --platform "$native" --require "isolation=$isolation" -t "$REGISTRY/hostile:1" "$folder" \
        > "$work/out" 2> "$work/err" || true
    id=$(farmctl ls --json | jq '.builds[0].id')
    farmctl logs "$id" | grep -v -e STEP -e '^Error: ' -e '^\[worker\]' -e 'error running container' > "$work/log" || true
    expect "canaries in the log" "$(grep -F -f "$work/canaries" "$work/log" || true)" ""
    expect "what was reached" "$(grep 'reached' "$work/log" || true)" ""
    farmctl logs "$id" > "$work/log"
}

# What must not be seen: a key, a file and a socket that everyone may use, another attempt's folder
prepare ()
{
    state=$work/worker-$isolation
    echo "canary: host file" > "$work/canary"
    chmod 644 "$work/canary"
    mkdir -p "$state/attempts/999-1/context"
    echo "canary: other attempt" > "$state/attempts/999-1/context/file"
    { echo "canary:"; grep -ho '[0-9a-f]\{64\}' "$state/worker.key"; } > "$work/canaries"
    rm -rf "$work/tools"
    mkdir -p "$work/tools"
    cc -static -O -o "$work/tools/leave" "$work/leave.c" 2> /dev/null || cp /bin/true "$work/tools/leave"
    ln -s "$state/worker.key" "$work/tools/key"
    ln -s "$work/canary" "$work/tools/file"
    ln -s "$state/attempts/999-1/context" "$work/tools/attempt"
    ln -s "$state/builder" "$work/tools/store"
    ln -s / "$work/tools/root"
    ln -s /proc/1/root "$work/tools/proc-root"
    ln -s /proc/1/fd/9 "$work/tools/password"
    echo "fine" > "$work/tools/plain"
    ln -s plain "$work/tools/link"
    look="cat $state/worker.key $work/canary $state/attempts/*/context/file $state/attempts/*/scratch/auth.json"
}

# Leaves a chroot the old way, where it may
cat > "$work/leave.c" <<'END'
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>
int main (int argc, char **argv)
{
    int here = open ("/", O_RDONLY);
    mkdir ("/deeper", 0755);
    if (chroot ("/deeper") != 0) { puts ("no chroot here"); return 0; }
    if (fchdir (here) == 0)
        for (int i = 0; i < 64; i++)
            if (chdir ("..") != 0)
                break;
    if (argc > 1 && chroot (".") == 0)
        execv ("/bin/sh", (char *[]) { "sh", "-c", argv [1], NULL });
    return 0;
}
END

background socket python3 -c '
import socket, sys
server = socket.socket(socket.AF_UNIX); server.bind(sys.argv[1]); server.listen(); print("ready", flush=True)
while True: server.accept()[0].sendall(b"canary: socket\n")' "$work/docker.sock"
wait_for 10 grep -q ready "$work/socket.log"
chmod 666 "$work/docker.sock"

looks_around ()
{
    local pid
    pid=$(cat "$work/pids/$isolation")
    hostile looks <<END
FROM %BASE%
RUN $look; cat /proc/1/fd/9 /proc/*/fd/9 && echo reached the password; ls /proc/1/root/etc/machine-id /proc/[0-9]*/root/run/farm-runtime && echo reached the room; grep -a REGISTRY_AUTH /proc/[0-9]*/environ && echo reached an environment; ls -l $work/docker.sock && echo reached the socket; kill -0 $pid && echo reached a process; ls /proc/$pid/fd && echo reached descriptors; [ -e /var/run/docker.sock ] && echo reached docker; echo "looked around"
END
    expect_text "$work/log" "looked around"
}

leaves_its_root ()
{
    hostile leaves <<END
FROM %BASE%
COPY leave /leave
RUN /leave '$look; cat /proc/1/fd/9 && echo reached the password; ls -l $work/docker.sock && echo reached the socket; ls -d $state/builder/*/storage-* && echo reached the store; for place in $state/builder/own $state/builder/*; do echo x > \$place/x && echo reached the store; done'; echo "came back"
END
    expect_text "$work/log" "came back"
    expect "what it left there" "$(find "$state/builder" -maxdepth 2 -name x)" ""
}

binds_out_of_the_context ()
{
    local name
    for name in key file attempt proc-root password $1; do
        hostile "bind-$name" <<END
FROM %BASE%
RUN --mount=type=bind,source=$name,target=/x,rw cat /x /x/file /x/worker.key; ls -d /x/storage-overlay /x/run/farm-runtime && echo reached $name; [ -d /x ] && echo x > /x/y && echo reached; true
END
    done
}

binds_out_of_a_stage ()
{
    local name
    for name in "$state" "$state/builder" "$state/attempts" / /proc/1/root; do
        hostile bind-stage <<END
FROM %BASE% AS stage
RUN ln -s $name /out
FROM %BASE%
RUN --mount=type=bind,from=stage,source=/out,target=/x,rw ls -d /x/storage-overlay /x/run/farm-runtime /x/attempts /x/999-1 && echo reached; echo x > /x/y && echo reached; true
END
    done
}

caches_elsewhere ()
{
    local id
    for id in ../../../../.. ../../../../../builder "../../../../../../../..$state/builder" ../../run; do
        hostile cache <<END
FROM %BASE%
RUN --mount=type=cache,id=$id,target=/x ls -d /x/storage-overlay /x/overlay /x/run/farm-runtime && echo reached; true
END
    done
}

caches_of_others ()
{
    hostile cache-mine <<< $'FROM %BASE%\nRUN --mount=type=cache,id=shared,target=/x echo "canary: a cache" > /x/file'
    hostile cache-yours <<< $'FROM %BASE%\nRUN --mount=type=cache,id=shared,target=/x cat /x/file || true'
}

mounts_of_the_build ()
{
    hostile fine <<'END'
FROM %BASE% AS stage
RUN mkdir /there && echo "from the stage" > /there/file
FROM %BASE%
RUN --mount=type=bind,source=plain,target=/a --mount=type=bind,source=link,target=/b --mount=type=bind,from=stage,source=/there,target=/c --mount=type=cache,target=/d --mount=type=tmpfs,target=/e cat /a /b /c/file && touch /d/x /e/x && echo "all is there"
VOLUME /volume
RUN touch /volume/x && echo "so is the volume"
END
    expect_text "$work/log" "fine" "from the stage" "all is there" "so is the volume"
    expect "the build" "$(farmctl ls --json | jq -r '.builds[0].state')" published
}

# takes REPOSITORY OPTION... < Dockerfile: build it of the folder `$work/$1`, and have its log in `log`; a step that was done before is not done again
takes ()
{
    local folder=$work/takes/$1 repository=$1 id
    shift
    cat > "$folder/Dockerfile"
    sed -i "s#%BASE%#$base#g" "$folder/Dockerfile"
    farmctl submit --platform "$native" --require "isolation=$isolation" -t "$REGISTRY/$repository:1" "$@" "$folder" > "$work/out" 2> "$work/err" || true
    id=$(farmctl ls --json | jq '.builds[0].id')
    farmctl logs "$id" > "$work/log"
}

# What one repository's builds left in the builder's cache is no other's: buildah would take it for what is not the same at all.
layers_of_others ()
{
    local dockerfile=$'FROM %BASE%\nRUN echo "through $HTTP_PROXY"'
    mkdir -p "$work/takes/evil-$isolation" "$work/takes/good-$isolation"
    takes "evil-$isolation" --build-arg HTTP_PROXY=http://canary <<< "$dockerfile"
    expect_text "$work/log" "through http://canary"
    takes "good-$isolation" <<< "$dockerfile"
    expect_text "$work/log" "through"
    expect_no_text "$work/log" "canary"
}

# Also an honest build may be misled: buildah does not look at what a step binds, and would take the layer of before.
binds_a_change ()
{
    local word
    mkdir -p "$work/takes/binds-$isolation"
    for word in "first word" "second word"; do
        echo "$word" > "$work/takes/binds-$isolation/word"
        takes "binds-$isolation" <<< $'FROM %BASE%\nRUN --mount=type=bind,source=word,target=/word cat /word'
        expect_text "$work/log" "$word" "a RUN step binds files"
    done
}

# By the beginning of its number, an image that another build of the repository has left could be had without asking a registry for it.
images_by_number ()
{
    local images number form
    mkdir -p "$work/takes/secret-$isolation"
    echo "canary: a source" > "$work/takes/secret-$isolation/source"
    takes "secret-$isolation" <<< $'FROM %BASE% AS first\nCOPY source /source\nRUN true\nFROM %BASE%\nCOPY --from=first /source /other'
    images=$(cat "$(place_of "$state" "$REGISTRY/secret-$isolation")"/storage-*/*-images/images.json)
    rm "$work/takes/secret-$isolation/source"
    for number in $(jq -r '.[].id' <<< "$images" | cut -c 1-12); do
        [[ $number == *[a-f]* ]] || continue            # digits alone are the number of a stage
        for form in "ARG X=$number\nFROM scratch AS a\nARG X=alpine:3\nFROM \$X AS stolen\nRUN cat /source" \
                    "FROM scratch AS $number\nCOPY --from=$number /source /source\nFROM %BASE%\nCOPY --from=0 /source /s\nRUN cat /s" \
                    "FROM scratch AS ${number^^}\nCOPY Dockerfile /x\nFROM %BASE%\nCOPY --from=$number /source /s\nRUN cat /s"; do
            takes "secret-$isolation" --no-cache <<< "$(printf '%b' "$form")"
            expect_no_text "$work/log" "canary"
            expect "the build" "$(farmctl ls --json | jq -r '.builds[0].state')" failed
        done
    done
}

from_elsewhere ()
{
    local name
    for name in "oci:$work" "dir:$work" "docker-archive:$work/canary" "oci-archive:$work/canary" docker-daemon:x:latest \
                "containers-storage:$base" "sha256:$(printf %064d 1)"; do
        hostile from <<< "FROM $name"
        expect_text "$work/log" "a base image comes from a registry"
        hostile copy-from <<< $'FROM %BASE%\nCOPY --from='"$name / /x"
        expect_text "$work/log" "a base image comes from a registry"
    done
}

added_from_elsewhere ()
{
    local name
    for name in "file://$work/canary" "$work/canary" "../../../../../../..$work/canary" file key "unix://$work/docker.sock" "http+unix://$work/docker.sock/x"; do
        hostile add <<< $'FROM %BASE%\nADD '"$name"$' /x\nRUN cat /x || true'
    done
}

more_rights ()
{
    hostile insecure <<< $'FROM %BASE%\nRUN --security=insecure mount -t tmpfs none /mnt && echo reached a mount'
    hostile device <<< $'FROM %BASE%\nRUN mknod /sda b 8 0 && echo reached a device; mount -t proc p /mnt && echo reached a mount; mount -t tmpfs p /mnt && echo reached a mount; echo 1 > /proc/sys/kernel/core_uses_pid && echo reached the kernel; true'
}

# With chroot its builder too; where the kernel kills as well, for want of memory, nobody can tell.
kills_all_it_can ()
{
    local before
    before=$(oom_kills)
    hostile kill <<< $'FROM %BASE%\nRUN kill -9 -1; true'
    [ "$(oom_kills)" = "$before" ] || skip "memory ran out somewhere on this host meanwhile"
    expect "attempts" "$(field "$(farmctl ls --json | jq '.builds[0].id')" '.jobs[0].attempts | length')" 1
    expect "faults of workers" "$(farmctl worker ls --json | jq '[.workers[].faults] | add')" 0
}

oom_kills () { grep '^oom_kill ' /proc/vmstat; }

asks_for_no_network ()
{
    local folder
    folder=$(context quiet <<'END'
FROM %BASE%
RUN [ "$(grep -c : /proc/net/dev)" = 1 ] && echo "its loopback alone"
END
    )
    run 0 farmctl submit --no-cache --network none --platform "$native" --require isolation=oci -t "$REGISTRY/hostile:quiet" "$folder"
    expect "what it saw" "$(farmctl logs "$(farmctl ls --json | jq '.builds[0].id')" | grep -cx -e '.*its loopback alone')" 1
    run 4 farmctl submit --no-cache --network none --platform "$native" --queue-timeout 0 --require isolation=chroot -t "$REGISTRY/hostile:quiet" "$folder"
    expect_text "$work/err" "no worker for $native with isolation=chroot, network-none" "for --network none a worker needs the isolation oci"
}

asks_for_the_hosts_network ()
{
    local folder
    folder=$(context loud <<< $'FROM %BASE%\nRUN [ "$(grep -c : /proc/net/dev)" -gt 1 ]')
    run 4 farmctl submit --no-cache --network host --platform "$native" --queue-timeout 0 --require isolation=oci -t "$REGISTRY/hostile:loud" "$folder"
    expect_text "$work/err" "no worker for $native with isolation=oci, network-host" "a worker's settings need builder/allow = network-host"
    expect "faults of workers" "$(farmctl worker ls --json | jq '[.workers[].faults] | add')" 0
    worker_add allowing "$work/worker-allowing" --builder-allow=network-host --labels=isolation=allowing
    run 0 farmctl submit --no-cache --network host --platform "$native" --require isolation=allowing -t "$REGISTRY/hostile:loud" "$folder"
    run 2 farm-worker doctor --builder-allow=privileged
    expect_text "$work/err" "it can have network-host"
}

for isolation in oci chroot; do
    worker_add "$isolation" "$work/worker-$isolation" "--builder-isolation=$isolation" "--labels=isolation=$isolation"
    prepare
    check "$isolation: a step that looks around" looks_around
    check "$isolation: one that leaves its root" leaves_its_root
    check "$isolation: bind mounts out of the context" binds_out_of_the_context "$([ $isolation = chroot ] || echo store root)"
    [ $isolation = chroot ] || check "$isolation: bind mounts out of a stage" binds_out_of_a_stage
    check "$isolation: a cache elsewhere" caches_elsewhere
    check "$isolation: a cache of another build" caches_of_others
    check "$isolation: the mounts of an honest build" mounts_of_the_build
    check "$isolation: layers of another repository's builds" layers_of_others
    check "$isolation: a change of a file that a step binds" binds_a_change
    check "$isolation: base images from elsewhere" from_elsewhere
    check "$isolation: images by their number" images_by_number
    check "$isolation: ADD from elsewhere" added_from_elsewhere
    check "$isolation: more rights, devices, mounts" more_rights
    check "$isolation: a step that kills all it can" kills_all_it_can
done
check "no network for RUN steps" asks_for_no_network
check "the host's network where the worker allows it" asks_for_the_hosts_network

farm_end

