// A webhook receiver with Express and BullMQ, written as well as its user can: it checks the signature over the bytes as they came, queues
// the event under its id and answers once Redis has it.
'use strict';

const cluster = require('node:cluster');
const crypto = require('node:crypto');
const express = require('express');
const IORedis = require('ioredis');
const { Queue } = require('bullmq');

const KEEP_S = 3 * 24 * 3600; // providers repeat an event for that long; its id is known until then
const TOLERANCE_S = 300;
const processes = Number(process.env.WEB_PROCESSES);

function serve() {
  const key = Buffer.from(process.env.POSTERN_LOAD_SECRET.slice('whsec_'.length), 'base64');
  // What is sent within one turn of the event loop goes out in one write.
  const connection = new IORedis(process.env.REDIS_SOCKET, { enableAutoPipelining: process.env.PIPELINING === '1' });
  const queue = new Queue('events', {
    connection,
    // A job that is removed is forgotten, and with it that its id was there: so it stays.
    defaultJobOptions: { attempts: 5, removeOnComplete: { age: KEEP_S }, removeOnFail: { age: KEEP_S } },
  });
  queue.on('error', (error) => console.error(error));

  function verified(request) {
    const id = request.get('webhook-id');
    const time = request.get('webhook-timestamp');
    const given = request.get('webhook-signature');
    if (!id || !time || !given || !(Math.abs(Date.now() / 1000 - Number(time)) <= TOLERANCE_S)) return false;
    const mac = crypto.createHmac('sha256', key).update(`${id}.${time}.`).update(request.body).digest();
    return given.split(' ').some((each) => {
      if (!each.startsWith('v1,')) return false;
      const theirs = Buffer.from(each.slice(3), 'base64');
      return theirs.length === mac.length && crypto.timingSafeEqual(theirs, mac);
    });
  }

  const app = express();
  app.disable('x-powered-by');
  app.disable('etag');
  app.post(process.env.WEBHOOK_PATH, express.raw({ type: 'application/json', limit: '1mb' }), async (request, response) => {
    if (!Buffer.isBuffer(request.body) || !verified(request)) return response.status(401).json({ error: 'unauthorized' });
    let event;
    try {
      event = JSON.parse(request.body);
    } catch {
      return response.status(422).json({ error: 'malformed' });
    }
    const jobId = request.get('webhook-id');
    await queue.add(event.type, event, { jobId });
    return response.json({ status: 'queued', event_id: jobId });
  });
  const server = app.listen(Number(process.env.PORT), '127.0.0.1', 4096);
  server.keepAliveTimeout = 75_000;
}

if (cluster.isPrimary && processes > 1) {
  for (let i = 0; i < processes; ++i) cluster.fork();
  cluster.on('exit', () => process.exit(1)); // who measures has to hear of it
} else {
  serve();
}
