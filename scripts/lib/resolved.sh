# shellcheck shell=bash
# systemd-resolved for the tests that need one, in the namespaces of a machine made for them. Sourced, never run.

# Not installed: that would change this machine's own resolv.conf.
fetch_resolved() { # fetch_resolved DIR
    RESOLVED=$1
    if [ ! -x /lib/systemd/systemd-resolved ] && command -v apt-get >/dev/null; then
        (cd "$(dirname "$1")" && apt-get download systemd-resolved && dpkg-deb -x systemd-resolved_*.deb "$1") >/dev/null 2>&1
    fi
    export RESOLVED
}

# The bus it is asked over. DIR is for what they write. Where it cannot be, says why and fails.
start_bus() { # start_bus DIR
    resolved=$RESOLVED/lib/systemd/systemd-resolved
    [ -x "$resolved" ] || resolved=/lib/systemd/systemd-resolved
    if [ ! -x "$resolved" ]; then skip 'systemd-resolved: it is not here, and apt-get does not bring it'; return 1; fi
    if ! command -v dbus-daemon >/dev/null; then skip 'systemd-resolved: there is no dbus-daemon here'; return 1; fi
    grep -q ^systemd-resolve: /etc/passwd || echo 'systemd-resolve:x:64999:64999::/:/usr/sbin/nologin' >>/etc/passwd
    grep -q ^systemd-resolve: /etc/group || echo 'systemd-resolve:x:64999:' >>/etc/group
    mkdir -p /run/dbus /run/systemd/resolve
    chown systemd-resolve: /run/systemd/resolve
    cat >"$1/bus.conf" <<'END'
<busconfig>
  <type>system</type>
  <listen>unix:path=/run/dbus/system_bus_socket</listen>
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/><allow user="*"/>
  </policy>
</busconfig>
END
    dbus-daemon --config-file="$1/bus.conf" --nofork --nopidfile 2>"$1/bus.log" &
    eventually 5 test -S /run/dbus/system_bus_socket
}

start_resolved() { # start_resolved DIR SERVER, after start_bus
    printf '[Resolve]\nDNS=%s\nLLMNR=no\nMulticastDNS=no\nDNSSEC=no\n' "$2" >/etc/systemd/resolved.conf
    "$resolved" >"$1/resolved.log" 2>&1 &
    if ! eventually 10 grep -q 127.0.0.53 /run/systemd/resolve/stub-resolv.conf; then
        skip "systemd-resolved: it does not run here: $(tail -n 1 "$1/resolved.log")"
        return 1
    fi
}
