# sshd.sh - a host that takes a key. Needs farm.sh.
# shellcheck shell=bash
sshd=${SSHD:-/usr/sbin/sshd}

# sshd_start KEY: makes the key, with which root may come to 127.0.0.1 at the port ssh_port. What the host takes is $work/authorized; $work/known has its own key.
sshd_start ()
{
    ssh-keygen -q -t ed25519 -N '' -f "$1"
    ssh-keygen -q -t ed25519 -N '' -f "$work/hostkey"
    cp "$1.pub" "$work/authorized"
    ssh_port=$(python3 -c 'import socket; s = socket.create_server(("127.0.0.1", 0)); print(s.getsockname()[1])')
    mkdir -p /run/sshd
    background sshd "$sshd" -D -e -p "$ssh_port" -h "$work/hostkey" -o ListenAddress=127.0.0.1 -o AuthorizedKeysFile="$work/authorized" -o StrictModes=no -o UsePAM=no \
        -o PidFile=none -o PermitRootLogin=yes -f /dev/null
    sed "s/^/127.0.0.1 /" "$work/hostkey.pub" > "$work/known"
    wait_for 10 grep -q 'Server listening' "$work/sshd.log"
}
