"""An RTSP camera in Python that packetises RTP itself and misbehaves byte by byte."""
