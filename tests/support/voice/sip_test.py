"""OpenAI's side of calls by SIP, asked over plain HTTP, and its control sessions by Debian's websockets."""

import asyncio
import io
import json
import unittest
import urllib.error
import urllib.request

import websockets

from journal import Journal
from realtime_script import Script
from sip_server import SipServer

SESSION = {"type": "realtime", "model": "gpt-realtime", "instructions": "Be kind."}


class SipTest(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self):
        self.out = io.StringIO()
        self.server = SipServer(Script({}), "sk-x", Journal(self.out), ["rtc_1"], accept_fails=0)
        self.port = await self.server.start()
        self.api = await self.server.start_api()
        self.addAsyncCleanup(self.server.stop)

    def _post(self, what, body, call, key, method):
        data = None if body is None else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {key}", **({"Content-Type": "application/json"} if data else {})}
        request = urllib.request.Request(f"http://127.0.0.1:{self.api}/v1/realtime/calls/{call}/{what}", data, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status
        except urllib.error.HTTPError as error:
            with error:
                return error.code

    async def post(self, what, body=None, call="rtc_1", key="sk-x", method="POST"):
        return await asyncio.to_thread(self._post, what, body, call, key, method)

    def control(self, call="rtc_1"):
        return websockets.connect(f"ws://127.0.0.1:{self.port}/v1/realtime?call_id={call}", extra_headers={"Authorization": "Bearer sk-x"})

    def rules(self):
        lines = [json.loads(line) for line in self.out.getvalue().splitlines()]
        return [line["rule"] for line in lines if line["event"] == "violation"]

    async def test_a_call_is_accepted_once_controlled_and_hung_up(self):
        with self.assertRaises(websockets.InvalidStatusCode) as refused:
            await self.control()
        self.assertEqual(404, refused.exception.status_code, "it rings")
        self.assertEqual(200, await self.post("accept", SESSION))
        self.assertEqual(400, await self.post("accept", SESSION))
        async with self.control() as socket:
            created = json.loads(await socket.recv())
            self.assertEqual("Be kind.", created["session"]["instructions"], "with what it was accepted with")
            self.assertEqual(200, await self.post("hangup"))
            with self.assertRaises(websockets.ConnectionClosedOK):
                await socket.recv()
        self.assertEqual(404, await self.post("hangup"))
        self.assertEqual([], self.rules())

    async def test_an_answer_may_be_lost(self):
        self.server.accept_fails = 1
        self.assertEqual(503, await self.post("accept", SESSION))
        self.assertEqual(400, await self.post("accept", SESSION))

    async def test_what_breaks_the_rules(self):
        for expected, rule, arguments in (
                (401, "api.bearer", {"what": "accept", "body": SESSION, "key": "sk-y"}),
                (404, "api.path", {"what": "answer", "body": SESSION}),
                (405, "api.method", {"what": "hangup", "method": "PUT"}),
                (400, "api.session", {"what": "accept", "body": {"type": "realtime"}}),
                (400, "api.session", {"what": "accept", "body": {**SESSION, "voice": "marin"}}),
                (400, "api.session", {"what": "accept", "body": {**SESSION, "audio": {"input": {"format": {"type": "audio/pcmu"}}}}}),
                (400, "api.body", {"what": "hangup", "body": {}}),
                (400, "api.body", {"what": "refer", "body": {"target_uri": "https://x"}}),
                (400, "api.body", {"what": "reject", "body": {"status_code": 200}})):
            self.assertEqual(expected, await self.post(**arguments), arguments)
            self.assertEqual(rule, self.rules()[-1], arguments)
        self.assertEqual(404, await self.post("reject", {"status_code": 486}, call="rtc_2"))
        self.assertEqual(200, await self.post("reject", {"status_code": 486}))


if __name__ == "__main__":
    unittest.main()
