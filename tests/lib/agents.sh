# agents.sh - an ssh agent with a key, and a context whose steps can ask it. Needs farm.sh.
# shellcheck shell=bash

# agent_start: the key is $work/key, and SSH_AUTH_SOCK leads to who has it
agent_start ()
{
    local program
    for program in ssh-agent ssh-add ssh-keygen; do
        command -v $program > /dev/null || skip_all "$program is not installed (openssh-client)"
    done
    ssh-keygen -q -t ed25519 -N '' -C 'of the laptop' -f "$work/key"
    background agent ssh-agent -D -a "$work/agent.sock"
    wait_for 10 test -S "$work/agent.sock"
    export SSH_AUTH_SOCK=$work/agent.sock
    ssh-add -q "$work/key"
}

# agent_tools FOLDER: ssh-add and ssh-keygen with their libraries, for a context: the base image has none of them. There the lines
# of agent_steps come first; then a step with --mount=type=ssh can call /tools/ssh-add and /tools/ssh-keygen, with /tools/key.pub.
agent_tools ()
{
    local folder=$1 program library
    mkdir -p "$folder/root"
    for program in ssh-add ssh-keygen; do
        cp "$(command -v $program)" "$folder/"
        ldd "$(command -v $program)" | grep -o '/[^ ]*' | while read -r library; do cp --parents -L "$library" "$folder/root"; done
    done
    cp "$work/key.pub" "$folder/"
    echo 'root:x:0:0:root:/root:/bin/sh' > "$folder/passwd"
}

agent_steps ()
{
    cat <<'END'
COPY root/ /
COPY ssh-add ssh-keygen key.pub passwd /tools/
RUN mkdir -p /etc && cp /tools/passwd /etc/passwd && echo hello > /tools/text
END
}
