#!/bin/bash
# ssh.sh - a RUN step asks the ssh agent of whoever submitted its build, through the farm, and nothing else of it than its keys' list and signatures.
. "${top_srcdir:-.}/tests/lib/farm.sh"
. "$top_srcdir/tests/lib/images.sh"
. "$top_srcdir/tests/lib/agents.sh"
farm_up
agent_start
fingerprint=$(ssh-keygen -lf "$work/key.pub" | cut -d ' ' -f 2)

agent_tools "$work/tools"

# ssh_context NAME COMMAND…
ssh_context ()
{
    local folder
    folder=$(context "$1" <<END
FROM %BASE%
$(agent_steps)
RUN --mount=type=ssh ${*:2}
END
    )
    cp -r "$work/tools"/* "$folder/"
    echo "$folder"
}

signs ()
{
    run 0 farmctl submit --ssh default --platform "$native" -t "$REGISTRY/ssh:1" \
        "$(ssh_context signs '/tools/ssh-add -l > /tools/list && /tools/ssh-keygen -Y sign -f /tools/key.pub -n farm /tools/text')"
    store_pull "$native" "$REGISTRY/ssh:1"
    store_file tools/list > "$work/list"
    expect_text "$work/list" "$fingerprint"
    store_file tools/text.sig > "$work/text.sig"
    ssh-keygen -Y check-novalidate -n farm -s "$work/text.sig" <<< hello
}
check "a step sees the laptop's key and has something signed by it" signs

nothing_else ()
{
    run 3 farmctl submit --ssh "default=$work/agent.sock" --platform "$native" -t "$REGISTRY/ssh:2" "$(ssh_context deletes '/tools/ssh-add -D || exit 9')"
    expect_text "$work/err" "exit status 9"
    ssh-add -l > "$work/list"
    expect_text "$work/list" "$fingerprint"
}
check "it cannot do anything else with the agent" nothing_else

lists_none ()
{
    farmctl logs "$1" | grep -qF "[no key]"
}

# What a step prints is not to stand in the step itself, which the log has too.
detached ()
{
    local id
    background gone farmctl submit --ssh default --platform "$native" -t "$REGISTRY/ssh:3" \
        "$(ssh_context gone 'i=0; while /tools/ssh-add -l > /dev/null 2>&1 && [ $i -lt 300 ]; do [ $i = 0 ] && echo "[a"" key]"; sleep 0.2; i=$((i + 1)); done; echo "[no"" key]"; i=0; while ! /tools/ssh-add -l > /dev/null 2>&1 && [ $i -lt 300 ]; do sleep 0.2; i=$((i + 1)); done; /tools/ssh-add -l')"
    wait_for 60 grep -q "^build [0-9]* queued" "$work/gone.log"
    id=$(sed -n 's/^build \([0-9]*\) queued/\1/p' "$work/gone.log")
    wait_said "$id" "[a key]"
    background_end gone INT
    wait_for 60 lists_none "$id"
    run 0 farmctl wait --ssh default "$id"
    farmctl logs "$id" > "$work/gone.said"
    expect_text "$work/gone.said" "$fingerprint"
    expect_text "$work/gone.said" "the ssh agent default was asked, and failed: nobody is attached"
}
check "without the laptop the step is told that there is no agent; when it comes back there is" detached

refused ()
{
    run 2 farmctl submit --ssh default --detach -t "$REGISTRY/ssh:4" "$work/signs"
    expect_text "$work/err" "leave out --detach"
    run 2 farmctl submit --ssh "default=$work/key" -t "$REGISTRY/ssh:4" "$work/signs"
    expect_text "$work/err" "is no agent's socket; a key is not sent"
    run 2 env -u SSH_AUTH_SOCK farmctl submit --ssh default -t "$REGISTRY/ssh:4" "$work/signs"
    expect_text "$work/err" "SSH_AUTH_SOCK is not set"
    run 2 farmctl retry "$(farmctl ls --json | jq '.builds[0].id')"
    expect_text "$work/err" "give retry the same --ssh"
}
check "what offers no agent is refused with words" refused

nothing_is_left ()
{
    expect "sockets" "$(find "$(vault_of "$farm/worker-$native_name")" -name 'agent-*' 2> /dev/null)" ""
}
check "no socket is left" nothing_is_left

farm_end
