"""gRPC without TLS, as peers of the agent's filter: `serve ADDRESS TEXT`, or `ask ADDRESS [NAME=VALUE…]`."""
import sys
from concurrent.futures import ThreadPoolExecutor

import grpc


def serve(address, text):
    def unary(request, context):
        return text.encode()

    def stream(requests, context):
        for request in requests:
            yield text.encode() + b":" + request
        context.set_trailing_metadata((("served-by", text),))

    handlers = grpc.method_handlers_generic_handler(
        "peer.Peer",
        {
            "Unary": grpc.unary_unary_rpc_method_handler(unary),
            "Stream": grpc.stream_stream_rpc_method_handler(stream),
        },
    )
    server = grpc.server(ThreadPoolExecutor(8), handlers=[handlers])
    server.add_insecure_port(address)
    server.start()
    server.wait_for_termination()


def ask(address, *pairs):
    metadata = [tuple(pair.split("=", 1)) for pair in pairs]
    with grpc.insecure_channel(address) as channel:
        unary = channel.unary_unary("/peer.Peer/Unary")
        stream = channel.stream_stream("/peer.Peer/Stream")
        print(unary(b"", metadata=metadata, timeout=10).decode())
        # Two calls on one connection at once, of which one is for somebody else.
        count = 200
        mine = stream((b"%d" % i for i in range(count)), metadata=metadata, timeout=10)
        others = stream((b"x" * 5000 for _ in range(count)), timeout=10)
        answers = [(one.decode(), other[:16].decode()) for one, other in zip(mine, others, strict=True)]
        assert len(answers) == count
        assert [one.split(":")[1] for one, _ in answers] == [str(i) for i in range(count)]
        print(answers[0][0].split(":")[0], answers[0][1].split(":")[0], dict(mine.trailing_metadata())["served-by"])


globals()[sys.argv[1]](*sys.argv[2:])
