# shellcheck shell=bash
# The node's network namespace and the cable to the laptop, which is this machine. Sourced, never run.

# All that this machine gets is a veth and the route of its /30.
make_network() {
    ! [ -e "$run/network" ] || return 0
    remove_network
    # Of kernels that have these as modules.
    modprobe -qa br_netfilter overlay nf_conntrack veth 2>/dev/null || :
    ip netns add "$node_name"
    ip link add "$link" type veth peer name laptop0 netns "$node_name"
    ip address add "$laptop_address/30" dev "$link"
    ip link set "$link" up
    # The default route must be there although nothing may leave by it: a process in the node that calls a service's
    # address is asked for a route before kube-proxy's rules replace that address.
    ip netns exec "$node_name" sh -ec "
        echo 1 >/proc/sys/net/ipv4/ip_forward
        echo 1 >/proc/sys/net/bridge/bridge-nf-call-iptables
        ! [ -e /proc/sys/net/ipv6/conf/laptop0 ] || echo 1 >/proc/sys/net/ipv6/conf/laptop0/disable_ipv6
        ip link set lo up
        ip address add $node_address/30 dev laptop0
        ip link set laptop0 up
        ip route add default via $laptop_address dev laptop0
        iptables-restore
    " <<END || fail "could not make the node's network: this needs iptables and the kernel's br_netfilter"
# Whatever the laptop sends that is not for the API server is never tracked, and so never reaches kube-proxy's rules,
# which would lead it to a pod and accept it: the laptop may have a route to the services' addresses.
*raw
-A PREROUTING -i laptop0 -d $node_address -p tcp --dport 6443 -j ACCEPT
-A PREROUTING -i laptop0 -d $node_address -p icmp -j ACCEPT
-A PREROUTING -i laptop0 -j CT --notrack
COMMIT
*filter
-A INPUT -i laptop0 -m conntrack --ctstate UNTRACKED -j REJECT
-A FORWARD -i laptop0 -m conntrack --ctstate UNTRACKED -j REJECT
-A FORWARD -o laptop0 -j REJECT
# What goes to a service still seems to leave by the default route here. The last but one: the answers of REJECT.
-A OUTPUT -o laptop0 -m conntrack --ctstate ESTABLISHED,RELATED,DNAT -j ACCEPT
-A OUTPUT -o laptop0 -p icmp --icmp-type destination-unreachable -j ACCEPT
-A OUTPUT -o laptop0 -j REJECT
COMMIT
END
    : >"$run/network"
}

remove_network() {
    rm -f "$run/network"
    [ ! -e "/run/netns/$node_name" ] || ip netns del "$node_name"
    ip link del "$link" 2>/dev/null || :
}
