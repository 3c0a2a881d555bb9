"""A client on paramiko, joined to its stdin and stdout. See peers.py for the arguments."""

import hashlib
import os
import socket
import sys
import threading

import paramiko

host, port, user, key, expected, mode, *rest = sys.argv[1:]
rekey = os.environ.get("PEER_REKEY")
if rekey:
    paramiko.packet.Packetizer.REKEY_BYTES = int(rekey)
connection = socket.create_connection((host, int(port)))
transport = paramiko.Transport(connection)
if "PEER_KEX" in os.environ:
    transport.get_security_options().kex = [os.environ["PEER_KEX"]]
transport.start_client(timeout=20)
actual = hashlib.sha256(transport.get_remote_server_key().asbytes()).hexdigest()
if actual != expected:
    sys.exit(f"host key {actual}, expected {expected}")
print(f"paramiko {paramiko.__version__}, {transport.local_cipher}", file=sys.stderr, flush=True)
transport.auth_publickey(user, paramiko.Ed25519Key.from_private_key_file(key))

if mode == "exec":
    channel = transport.open_session()
    channel.exec_command(rest[0])
elif mode == "direct":
    channel = transport.open_channel("direct-tcpip", (rest[0], int(rest[1])), ("127.0.0.1", 1))
else:
    bound = transport.request_port_forward(rest[0], int(rest[1]))
    print(f"listening {bound}", file=sys.stderr, flush=True)
    channel = transport.accept(60)


def send():
    while data := os.read(0, 32768):
        channel.sendall(data)
    channel.shutdown_write()


def errors():
    while data := channel.recv_stderr(32768):
        os.write(2, data)


threading.Thread(target=send, daemon=True).start()
reader = threading.Thread(target=errors, daemon=True)
reader.start()
while data := channel.recv(65536):
    view = memoryview(data)
    while len(view):
        view = view[os.write(1, view) :]
reader.join(5)
status = channel.recv_exit_status() if mode == "exec" else 0
transport.close()
sys.stderr.flush()
os._exit(status)
