# net.sh - hosts of a test's own, on a network that it makes and cuts: network namespaces, and cables (veth) to a switch (bridge) that
# stands in the namespace of the test itself. Nothing of it is seen from outside, and all of it goes with the test's processes.
#
#     . net.sh; net_enter         first of all: the test goes on in a namespace, where it is 10.9.0.1
#     net_host NAME NUMBER        10.9.0.NUMBER; needs process.sh
#     net_in NAME COMMAND…        there
#
# net_enter comes before tap.sh makes its folder, for it starts the test anew.
# shellcheck shell=bash

net_enter ()
{
    local program
    if [ -z "${NET_ENTERED:-}" ]; then
        for program in ip nft unshare nsenter; do
            command -v "$program" > /dev/null || { echo "1..0 # SKIP $program is not installed"; exit 0; }
        done
        unshare --net ip link add type bridge 2> /dev/null || { echo "1..0 # SKIP network namespaces are not to be had here"; exit 0; }
        NET_ENTERED=1 exec unshare --net -- "$BASH" "$0" "$@"
    fi
    unset NET_ENTERED
    ip link set lo up
    # An address of its own: else it is the lowest of its ports', and changes when that one is unplugged. All hosts would send to the old one
    # until they ask again, which takes them 5 s.
    ip link add switch address 02:00:0a:09:00:01 type bridge
    ip address add 10.9.0.1/24 dev switch
    ip link set switch up
}

net_is_apart ()
{
    [ "$(readlink "/proc/$1/ns/net")" != "$(readlink /proc/self/ns/net)" ]
}

net_host ()
{
    local pid
    background "host-$1" unshare --net -- sleep infinity
    pid=$(background_pid "host-$1")
    wait_for 10 net_is_apart "$pid"
    ip link add "$1" type veth peer name eth0 netns "$pid"
    ip link set "$1" master switch up
    net_in "$1" ip link set lo up
    net_in "$1" ip address add "10.9.0.$2/24" dev eth0
    net_in "$1" ip link set eth0 up
}

net_in ()
{
    local pid
    pid=$(background_pid "host-$1")
    shift
    nsenter --target "$pid" --net -- "$@"
}

# -- cuts --------------------------------------------------------------------------------------------------------------

# The cable is pulled: its host sees that.
net_pull ()
{
    ip link set "$1" down
}

# The switch forgets the port: nobody sees anything.
net_unplug ()
{
    ip link set "$1" nomaster
}

net_mend ()
{
    local way
    ip link set "$1" master switch up
    for way in input output; do             # builders have tables of their own
        net_in "$1" nft delete table inet "cut-$way" 2> /dev/null || true
    done
}

# net_drop NAME input|output PORT…: what comes from these ports of others, or goes to them, gets lost
net_drop ()
{
    local name=$1 way=$2 side ports
    shift 2
    [ "$way" = input ] && side=sport || side=dport
    ports=$(IFS=,; echo "$*")
    net_in "$name" nft -f - <<END
table inet cut-$way {
    chain cut { type filter hook $way priority 0; policy accept; tcp $side { $ports } drop; }
}
END
}
