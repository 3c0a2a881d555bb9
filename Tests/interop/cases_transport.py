"""Algorithms, rekeying under load, host keys."""

import os
import re
import threading

import targets
from clients import connect, http_get, local_forward, remote_forward
from harness import Skip, case, contains, equal, matches
from peers import peer
from world import Manager, keygen, public, tool

MIB = 1 << 20
BULK = int(os.environ.get("INTEROP_MIB", "200")) * MIB

KEX = ["mlkem768x25519-sha256", "curve25519-sha256", "curve25519-sha256@libssh.org", "ecdh-sha2-nistp256",
       "ecdh-sha2-nistp384", "ecdh-sha2-nistp521", "diffie-hellman-group16-sha512", "diffie-hellman-group14-sha256"]
CIPHERS = ["aes128-gcm@openssh.com", "aes256-gcm@openssh.com", "chacha20-poly1305@openssh.com", "aes128-ctr",
           "aes192-ctr", "aes256-ctr"]
MACS = ["hmac-sha2-256", "hmac-sha2-512", "hmac-sha2-256-etm@openssh.com", "hmac-sha2-512-etm@openssh.com"]


def supported(t, what, name):
    known = t.run([tool("ssh", "openssh-client"), "-Q", what]).text.split()
    if name not in known:
        version = t.run([tool("ssh", "openssh-client"), "-V"]).errors.split(",")[0]
        raise Skip(f"{version} has no {name}")


@case("key exchange {}", KEX)
def kex(t, world, name):
    supported(t, "kex", name)
    result = t.run(world.manager.ssh(
        "-v", "-o", f"KexAlgorithms={name}", "-o", "RekeyLimit=16K", "-W", "echo:7000", "manager"),
        input=b"k" * 200_000).succeeded()
    equal(result.out, b"k" * 200_000, "echo across rekeys")
    contains(result.err, f"kex: algorithm: {name}")
    rekeys = len(re.findall("SSH2_MSG_NEWKEYS received", result.errors)) - 1
    assert rekeys > 2, f"{rekeys} rekeys"


@case("paramiko agrees on mlkem768x25519-sha256")
def hybrid(t, world):
    client = peer(world, "paramiko")
    result = client.exec(t, world.manager, "version", kex="mlkem768x25519-sha256")
    if "unknown kex" in result.errors.lower():
        raise Skip("this paramiko, or its cryptography, has no ML-KEM")
    result.succeeded()
    contains(world.manager.log(), "kex=mlkem768x25519-sha256")


@case("cipher and MAC {}", [f"{cipher} {mac}" for cipher in CIPHERS[3:] for mac in MACS] + CIPHERS[:3])
def cipher(t, world, pair):
    cipher, _, mac = pair.partition(" ")
    options = ["-o", f"Ciphers={cipher}"] + (["-o", f"MACs={mac}"] if mac else [])
    # Sizes that are no multiple of anything.
    sent = b"".join(targets.pattern(9, 333_337))
    result = t.run(world.manager.ssh("-v", *options, "-W", "echo:7000", "manager"), input=sent).succeeded()
    equal(result.out == sent, True, "echo")
    contains(result.err, f"kex: server->client cipher: {cipher} MAC: {mac or '<implicit>'}")


@case("RekeyLimit 1M, {} both directions at once", [
    (f"{cipher} {mac}".strip(), cipher, mac, size) for cipher, mac, size in [
        ("aes128-gcm@openssh.com", "", 1), ("aes256-gcm@openssh.com", "", 4),
        ("chacha20-poly1305@openssh.com", "", 4), ("aes128-ctr", "hmac-sha2-256", 4),
        ("aes128-ctr", "hmac-sha2-256-etm@openssh.com", 8), ("aes256-ctr", "hmac-sha2-512", 8)]
], seconds=120)
def rekey(t, world, algorithms):
    _, cipher, mac, share = algorithms
    size = BULK // share
    options = ["-o", f"Ciphers={cipher}", "-o", "RekeyLimit=1M"] + (["-o", f"MACs={mac}"] if mac else [])
    path, process = local_forward(t, world.manager, "bulk:7000", *options)
    with connect(path, 100) as connection:
        targets.call_bulk(*targets.over_socket(connection), size, size)
    rekeys = len(re.findall("SSH2_MSG_NEWKEYS received", t.log(process))) - 1
    assert rekeys >= size // MIB // 8, f"only {rekeys} rekeys in {size // MIB} MiB each way"


@case("bulk both directions at once through -R, with rekeying", seconds=90)
def rekey_remote(t, world):
    server = targets.Server(targets.bulk)
    t.closing.append(server.close)
    port, _ = remote_forward(
        t, world.manager, f"127.0.0.1:{server.port}", "127.0.0.1", "-o", "RekeyLimit=4M", "-o",
        "Ciphers=aes128-gcm@openssh.com")
    with connect(port, 80) as connection:
        targets.call_bulk(*targets.over_socket(connection), BULK // 4, BULK // 4)


@case("eight bulk transfers at once in one session, with rekeying", seconds=90)
def rekey_many(t, world):
    path, _ = local_forward(
        t, world.manager, "bulk:7000", "-o", "RekeyLimit=4M", "-o", "Ciphers=aes128-gcm@openssh.com")
    failures = []

    def one(number):
        try:
            with connect(path, 80) as connection:
                targets.call_bulk(*targets.over_socket(connection), BULK // 20 + number, BULK // 20 + 31 * number)
        except (AssertionError, OSError) as error:
            failures.append(f"transfer {number}: {error}")

    threads = [threading.Thread(target=one, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    equal(failures, [], "failures")


@case("the manager rekeys of its own accord (--rekey-limit)", seconds=90)
def manager_rekeys(t, world):
    manager = world.once("rekeying manager", lambda: rekeying_manager(world))
    path, process = local_forward(t, manager, "bulk:7000")
    with connect(path, 60) as connection:
        targets.call_bulk(*targets.over_socket(connection), 40 * MIB, 40 * MIB)
    assert len(re.findall("SSH2_MSG_NEWKEYS received", t.log(process))) > 5, "no rekeys"


def rekeying_manager(world):
    try:
        return Manager(world, ["--rekey-limit", "1M"])
    except AssertionError as error:
        if "--rekey-limit" in str(error):
            raise Skip("the manager has no --rekey-limit") from None
        raise


# --- host keys -------------------------------------------------------------------------------------------------------

HOST_KEYS = [("ssh-ed25519", "ed25519", None), ("ecdsa-sha2-nistp256", "ecdsa", 256),
             ("ecdsa-sha2-nistp384", "ecdsa", 384), ("ecdsa-sha2-nistp521", "ecdsa", 521),
             ("rsa-sha2-512", "rsa", 3072), ("rsa-sha2-256", "rsa", 3072)]


def many_keys(world):
    keys = []
    for kind, bits in (("ed25519", None), ("ecdsa", 256), ("ecdsa", 384), ("ecdsa", 521), ("rsa", 3072)):
        path = world.path(f"host_{kind}{bits or ''}_of_many")
        keys.append(keygen(path, "-t", kind, *(["-b", str(bits)] if bits else [])))
    return Manager(world, host_keys=keys, name="many")


@case("host key {}", HOST_KEYS)
def host_key(t, world, kind):
    algorithm = kind[0]
    manager = world.once("manager with many host keys", lambda: many_keys(world))
    result = t.run(manager.ssh("-v", "-o", f"HostKeyAlgorithms={algorithm}", "manager", "version")).succeeded()
    contains(result.err, f"kex: host key algorithm: {algorithm}")


@case("ssh-keyscan shows the host keys, and just them")
def keyscan(t, world):
    manager = world.once("manager with many host keys", lambda: many_keys(world))
    # One type a run: it asks for all types at once, where MaxStartups may have a word.
    found = set()
    for kind in ("ed25519", "ecdsa", "rsa"):
        result = t.run([tool("ssh-keyscan", "openssh-client"), "-T", "10", "-t", kind, "-p", str(manager.port),
                        "127.0.0.1"]).succeeded()
        found |= {" ".join(line.split()[1:3]) for line in result.text.splitlines() if not line.startswith("#")}
    mine = {" ".join(public(key).split()[:2]) for key in manager.host_keys}
    assert found <= mine and len(found) >= 3, f"{found} of {mine}"


@case("UpdateHostKeys: the client learns new host keys and works when the old one is gone")
def rotation(t, world):
    old, new = keygen(t.path("old"), "-t", "ed25519"), keygen(t.path("new"), "-t", "ecdsa", "-b", "256")
    manager = Manager(world, host_keys=[old, new])
    t.closing.append(manager.close)
    known = t.write("known_hosts", "manager " + " ".join(public(old).split()[:2]) + "\n")
    options = ["-v", "-o", "UpdateHostKeys=yes", "-o", f"UserKnownHostsFile={known}", "-o",
               "HostKeyAlgorithms=ssh-ed25519,ecdsa-sha2-nistp256"]
    result = t.run(manager.ssh(*options, "manager", "version")).succeeded()
    # ssh asks for proof and writes once it has it, which may be after the command's end with an idle -N.
    process = t.start(manager.ssh(*options, "-N", "manager"))
    t.wait("the second key in known_hosts", lambda: public(new).split()[1] in open(known).read(), process=process)
    process.terminate()
    t.ended(process)
    manager.close()
    manager.host_keys = [new]
    manager.start()
    result = t.run(manager.ssh(*options, "manager", "version")).succeeded()
    contains(result.err, "host key algorithm: ecdsa-sha2-nistp256")
    # And the key that is gone is forgotten.
    process = t.start(manager.ssh(*options, "-N", "manager"))
    t.wait("the old key's removal", lambda: public(old).split()[1] not in open(known).read(), process=process)


@case("a changed host key is refused by the client")
def changed(t, world):
    other = keygen(t.path("other"), "-t", "ed25519")
    known = t.write("known_hosts", "manager " + " ".join(public(other).split()[:2]) + "\n")
    result = t.run(world.manager.ssh("-o", f"UserKnownHostsFile={known}", "manager", "version")).failed(255)
    contains(result.err, "REMOTE HOST IDENTIFICATION HAS CHANGED")


@case("strict key exchange and extension info are agreed")
def strict(t, world):
    result = t.run(world.manager.ssh("-vvv", "manager", "version")).succeeded()
    contains(result.err, "will use strict KEX ordering", "kex_input_ext_info: server-sig-algs=",
             "publickey-hostbound@openssh.com=<0>")
    matches(result.err, r"Remote protocol version 2.0, remote software version \S+")
    assert "OpenSSH" not in matches(result.err, r"remote software version (.*)").group(1)


@case("compression is not offered, and asking for it does no harm")
def compression(t, world):
    result = t.run(world.manager.ssh("-v", "-C", "manager", "version")).succeeded()
    contains(result.err, "compression: none")


@case("an ssh that offers nothing of ours is told")
def nothing_in_common(t, world):
    result = t.run(world.manager.ssh("-o", "Ciphers=aes128-cbc", "manager", "version")).failed(255)
    contains(result.err, "no matching cipher found")


@case("idle sessions survive rekeys")
def idle_rekey(t, world):
    path, process = local_forward(t, world.manager, "hello:80", "-o", "RekeyLimit=1M 1s", "-o", "ServerAliveInterval=1")
    t.wait("a rekey", lambda: t.log(process).count("SSH2_MSG_NEWKEYS received") > 2, 12, process)
    contains(http_get(connect(path)), "pod=hello-")


@case("ssh-audit: the policy of this directory")
def audit(t, world):
    program = os.environ.get("SSH_AUDIT")
    if not program:
        raise Skip("there is no ssh-audit (scripts/test installs it)")
    policy = os.path.join(os.path.dirname(os.path.abspath(__file__)), "ssh-audit-policy.txt")
    result = t.run([program, "-P", policy, "-p", str(world.manager.port), "127.0.0.1"], seconds=30)
    contains(result.out, "Passed")
    result.succeeded()
    # Without a policy: nothing fails but the curves of NIST, which libssh2 and those bound to FIPS need.
    result = t.run([program, "-n", "--skip-rate-test", "-p", str(world.manager.port), "127.0.0.1"], seconds=30)
    failed = [line for line in result.text.splitlines() if "[fail]" in line and "ecdh-sha2-nistp" not in line]
    equal(failed, [], "failures")
