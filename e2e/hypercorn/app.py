"""An application that tells what it was asked for, and accepts every WebSocket."""


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            event = (await receive())["type"]
            await send({"type": event + ".complete"})
            if event == "lifespan.shutdown":
                return
    user = dict(scope["headers"]).get(b"x-user", b"").decode()
    line = f"{scope['type']} HTTP/{scope['http_version']} {scope['path']} as '{user}'"
    print(line, flush=True)
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "text": line})
        await send({"type": "websocket.close"})
        return
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": line.encode()})
