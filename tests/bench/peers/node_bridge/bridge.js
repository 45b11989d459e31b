// The bridge from Twilio's media streams to OpenAI's Realtime API as one writes it with Fastify, after Twilio's own sample: for each call one
// WebSocket to the model, every message parsed and written as JSON, a mark behind each piece of audio, and what waits thrown away when the
// caller speaks. It does not check Twilio's signature, keeps nothing of a call, and bounds nothing: that is work which Postern does and this
// does not.
'use strict';

const cluster = require('node:cluster');
const Fastify = require('fastify');
const websocket = require('@fastify/websocket');
const WebSocket = require('ws');

const processes = Number(process.env.PROCESSES);

const session = {
  type: 'realtime',
  model: 'gpt-realtime',
  output_modalities: ['audio'],
  audio: {
    input: { format: { type: 'audio/pcmu' }, turn_detection: { type: 'server_vad' } },
    output: { format: { type: 'audio/pcmu' }, voice: 'alloy' },
  },
};

function bridge(caller) {
  let streamSid = null;
  let latestTimestamp = 0; // of the caller's audio, in ms
  let lastItem = null; // of the model, which the caller hears
  let responseStarted = null; // the caller's clock at its first audio
  let marks = [];

  const model = new WebSocket(process.env.MODEL_URL, {
    headers: { Authorization: `Bearer ${process.env.OPENAI_API_KEY}` },
    perMessageDeflate: false,
  });

  function toCaller(message) {
    if (caller.readyState === WebSocket.OPEN) caller.send(JSON.stringify(message));
  }
  function toModel(message) {
    if (model.readyState === WebSocket.OPEN) model.send(JSON.stringify(message));
  }

  function onAudio(event) {
    toCaller({ event: 'media', streamSid, media: { payload: event.delta } });
    if (responseStarted === null || event.item_id !== lastItem) responseStarted = latestTimestamp;
    lastItem = event.item_id;
    toCaller({ event: 'mark', streamSid, mark: { name: 'responsePart' } });
    marks.push('responsePart');
  }

  function onSpeechStarted() {
    if (marks.length === 0 || responseStarted === null) return;
    toCaller({ event: 'clear', streamSid });
    toModel({
      type: 'conversation.item.truncate',
      item_id: lastItem,
      content_index: 0,
      audio_end_ms: Math.max(0, latestTimestamp - responseStarted),
    });
    marks = [];
    lastItem = null;
    responseStarted = null;
  }

  model.on('open', () => toModel({ type: 'session.update', session }));
  model.on('message', (data) => {
    const event = JSON.parse(data);
    if (event.type === 'response.output_audio.delta' && event.delta) onAudio(event);
    if (event.type === 'input_audio_buffer.speech_started') onSpeechStarted();
    if (event.type === 'error') console.error(event.error);
  });
  model.on('close', () => caller.close());
  model.on('error', (error) => console.error(error));

  caller.on('message', (data) => {
    const message = JSON.parse(data);
    switch (message.event) {
      case 'media':
        latestTimestamp = Number(message.media.timestamp);
        toModel({ type: 'input_audio_buffer.append', audio: message.media.payload });
        break;
      case 'start':
        streamSid = message.start.streamSid;
        break;
      case 'mark':
        if (marks.length > 0) marks.shift();
        break;
      default:
        break;
    }
  });
  caller.on('close', () => model.close());
  caller.on('error', (error) => console.error(error));
}

async function serve() {
  const app = Fastify();
  await app.register(websocket);
  app.get('/health', async () => ({ status: 'healthy' }));
  app.get('/api/v1/voice/media-stream', { websocket: true }, bridge);
  await app.listen({ port: Number(process.env.PORT), host: '127.0.0.1', backlog: 4096 });
}

// More than one process is not in the samples; with cluster it takes these lines.
if (processes > 1 && cluster.isPrimary) {
  for (let i = 0; i < processes; ++i) cluster.fork();
} else {
  serve();
}
