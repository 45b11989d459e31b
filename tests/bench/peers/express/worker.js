// Handles what web.js has queued: a handler with next to nothing to do.
'use strict';

const IORedis = require('ioredis');
const { Worker } = require('bullmq');

const connection = new IORedis(process.env.REDIS_SOCKET, { maxRetriesPerRequest: null });
const worker = new Worker('events', async (job) => job.data.data.resource.id.length, {
  connection,
  concurrency: Number(process.env.WORKER_CONCURRENCY),
});
worker.on('error', (error) => console.error(error));
process.on('SIGTERM', () => worker.close(true).finally(() => process.exit(0)));
