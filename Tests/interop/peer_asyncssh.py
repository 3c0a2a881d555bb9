"""A client on asyncssh, joined to its stdin and stdout. See peers.py for the arguments."""

import asyncio
import hashlib
import os
import sys

import asyncssh

host, port, user, key, expected, mode, *rest = sys.argv[1:]


async def relay(reader, writer, errors=None):
    loop = asyncio.get_running_loop()

    async def send():
        while data := await loop.run_in_executor(None, os.read, 0, 65536):
            writer.write(data)
            await writer.drain()
        writer.write_eof()

    async def receive(source, fd):
        while data := await source.read(65536):
            view = memoryview(data)
            while len(view):
                written = await loop.run_in_executor(None, os.write, fd, view)
                view = view[written:]

    sender = asyncio.create_task(send())
    await asyncio.gather(receive(reader, 1), *([receive(errors, 2)] if errors else []))
    sender.cancel()


class Client(asyncssh.SSHClient):
    def validate_host_public_key(self, host, addr, port, key):
        return hashlib.sha256(key.public_data).hexdigest() == expected


async def main():
    options = {"rekey_bytes": int(os.environ["PEER_REKEY"])} if "PEER_REKEY" in os.environ else {}
    connection = await asyncssh.connect(
        host, int(port), username=user, client_keys=[key], known_hosts=([], [], []), client_factory=Client, config=None,
        agent_path=None, **options)
    print(f"asyncssh {asyncssh.__version__}, {connection.get_extra_info('send_cipher')}", file=sys.stderr, flush=True)
    if mode == "exec":
        process = await connection.create_process(rest[0], encoding=None)
        await relay(process.stdout, process.stdin, process.stderr)
        await process.wait_closed()
        return process.exit_status
    if mode == "direct":
        reader, writer = await connection.open_connection(rest[0], int(rest[1]), encoding=None)
        await relay(reader, writer)
        return 0
    done = asyncio.Event()

    async def accepted(reader, writer):
        await relay(reader, writer)
        writer.close()
        done.set()

    listener = await connection.start_server(lambda *_: accepted, rest[0], int(rest[1]), encoding=None)
    print(f"listening {listener.get_port()}", file=sys.stderr, flush=True)
    await done.wait()
    connection.close()
    await connection.wait_closed()
    return 0


status = asyncio.new_event_loop().run_until_complete(main())
sys.stderr.flush()
os._exit(status if status is not None else 253)
