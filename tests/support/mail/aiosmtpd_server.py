#!/usr/bin/python3
"""A mail server that is not ours: Debian's python3-aiosmtpd, which holds clients to the RFCs.

    aiosmtpd_server.py OPTIONS     prints "port N", then a JSON line for each mail, as scripted_server.py does

OPTIONS is JSON: {"tls": "none"|"starttls"|"implicit", "certificate", "key", "user", "password", "without": [mechanism, …],
"smtputf8": bool}. With a user AUTH is required, with starttls that comes first.
"""
import asyncio
import base64
import json
import ssl
import sys

from aiosmtpd.smtp import SMTP, AuthResult


class Handler:
    async def handle_DATA(self, server, session, envelope):
        content = base64.b64encode(envelope.original_content).decode()
        print(json.dumps({"mail": {"from": envelope.mail_from, "to": envelope.rcpt_tos, "content": content, "options": envelope.mail_options,
                                   "tls": session.ssl is not None, "mechanism": getattr(session, "mechanism", None),
                                   "ehlo": session.host_name}}), flush=True)
        return "250 2.0.0 stored"


def main():
    options = json.loads(sys.argv[1])
    context = None
    if options.get("certificate"):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(options["certificate"], options["key"])

    def authenticate(server, session, envelope, mechanism, data):
        session.mechanism = mechanism
        fits = (data.login, data.password) == (options["user"].encode(), options["password"].encode())
        return AuthResult(success=fits, handled=False)

    def session():
        starttls = options["tls"] == "starttls"
        return SMTP(Handler(), hostname="aiosmtpd.test", data_size_limit=64 << 20, enable_SMTPUTF8=options.get("smtputf8", False),
                    tls_context=context if starttls else None, require_starttls=starttls,
                    authenticator=authenticate if options.get("user") else None, auth_required=bool(options.get("user")),
                    auth_require_tls=starttls, auth_exclude_mechanism=options.get("without"))

    async def run():
        loop = asyncio.get_running_loop()
        server = await loop.create_server(session, "127.0.0.1", 0, ssl=context if options["tls"] == "implicit" else None)
        print("port", server.sockets[0].getsockname()[1], flush=True)
        await server.serve_forever()

    asyncio.run(run())


if __name__ == "__main__":
    main()
