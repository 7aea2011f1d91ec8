"""IOPaint's /socket.io: the steps of a diffusion run, told to the page that waits for it.

A socket is a connection that lasts, and a polling client's requests must all find its state. So the
sockets are an application of their own with one replica (app.py, server.py), beside the ingress. A
browser is told apart by a cookie (listeners.py): it gets one with its socket, its POST to
/api/v1/inpaint brings it along, and the ingress replica that runs the request has the sockets of
that browser told (progress.py, teller.py).
"""
