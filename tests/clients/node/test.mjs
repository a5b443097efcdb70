// Node's etcd3 against a server: put, get, transaction, watch, lease, compaction.
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { Etcd3 } from 'etcd3';

const client = new Etcd3({ hosts: process.argv[2] });
const space = client.namespace('node/');

async function keys() {
  await space.put('a').value('3');
  await space.put('b').value('2');
  await space.put('c').value('1');
  assert.equal(await space.get('a').string(), '3');
  assert.equal(await space.get('nothing'), null);
  const found = await space.getAll().sort('Value', 'Ascend').limit(2).strings();
  assert.deepEqual(found, { c: '1', b: '2' });
  assert.equal(await space.getAll().count(), 3);
  const gone = await space.delete().key('c').getPrevious();
  assert.equal(gone[0].value.toString(), '1');
}

async function transactions() {
  await space.put('t').value('1');
  const swap = (expected, next) =>
    space.if('t', 'Value', '==', expected).then(space.put('t').value(next)).else(space.get('t')).commit();
  assert.equal((await swap('1', '2')).succeeded, true);
  assert.equal((await swap('1', '3')).succeeded, false);
  assert.equal(await space.get('t').string(), '2');
  // A transaction that loses a race is tried again; ten of them make ten steps.
  await space.put('counter').value(0);
  await Promise.all(
    Array.from({ length: 10 }, () =>
      space.stm({ retries: 100 }).transact(async (tx) => {
        await tx.put('counter').value(Number(await tx.get('counter').string()) + 1);
      }),
    ),
  );
  assert.equal(await space.get('counter').number(), 10);
}

async function watches() {
  const first = Number((await space.put('w').value('history')).header.revision);
  const watcher = await space.watch().key('w').startRevision(first).withPreviousKV().create();
  const seen = [];
  const all = new Promise((resolve, reject) => {
    const note = (kind) => (kv, before) => {
      seen.push([kind, kv.value.toString(), before?.value?.toString() ?? '']);
      if (seen.length === 3) resolve();
    };
    watcher.on('put', note('put')).on('delete', note('delete')).on('error', reject);
  });
  await space.put('w').value('live');
  await space.delete().key('w');
  await all;
  assert.deepEqual(seen, [['put', 'history', ''], ['put', 'live', 'history'], ['delete', '', 'live']]);
  await watcher.cancel();
}

async function leases() {
  const lease = space.lease(2, { autoKeepAlive: false });
  await lease.put('l').value('held');
  const ttl = await lease.keepaliveOnce();
  assert.equal(Number(ttl.TTL), 2);
  for (let tries = 0; (await space.get('l')) !== null; tries++) {
    assert.ok(tries < 60, 'the lease never ended');
    await sleep(100);
  }
  await assert.rejects(lease.keepaliveOnce());
  const lock = await space.lock('m').ttl(5).acquire();
  await lock.release();
}

async function compaction() {
  const revision = Number((await space.put('u').value('1')).header.revision);
  await client.kv.compact({ revision, physical: true });
  await assert.rejects(space.get('u').revision(revision - 1), /required revision has been compacted/);
  const status = await client.maintenance.status();
  assert.match(status.version, /^3\./);
}

await space.delete().all();
for (const part of [keys, transactions, watches, leases, compaction]) await part();
await space.delete().all();
client.close();
console.log('ok');
