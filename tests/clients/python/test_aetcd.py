"""Python's aetcd against a server: put, get, transaction, watch, lease, compaction."""

import asyncio
import sys

import aetcd


async def keys(client):
    for key, value in ((b"python/a", b"3"), (b"python/b", b"2"), (b"python/c", b"1")):
        await client.put(key, value)
    assert (await client.get(b"python/a")).value == b"3"
    assert await client.get(b"python/nothing") is None
    found = await client.get_prefix(b"python/", sort_order="ascend", sort_target="value")
    assert [kv.value for kv in found] == [b"1", b"2", b"3"], found
    replaced = await client.put(b"python/a", b"4", prev_kv=True)
    assert replaced.prev_kv.value == b"3", replaced
    assert await client.delete(b"python/c") is not None


async def transactions(client):
    await client.put(b"python/t", b"1")

    async def swap(expected, following):
        return await client.transaction(
            compare=[client.transactions.value(b"python/t") == expected],
            success=[client.transactions.put(b"python/t", following)],
            failure=[client.transactions.get(b"python/t")],
        )

    assert (await swap(b"1", b"2"))[0]
    assert not (await swap(b"1", b"3"))[0]
    assert (await client.get(b"python/t")).value == b"2"
    assert await client.replace(b"python/t", b"2", b"5")
    assert not await client.replace(b"python/t", b"2", b"6")


async def watches(client):
    first = (await client.put(b"python/w", b"history")).header.revision
    watch = await client.watch(b"python/w", start_revision=first, prev_kv=True)
    await client.put(b"python/w", b"live")
    await client.delete(b"python/w")
    seen = []
    async for event in watch:
        before = event.prev_kv.value if event.prev_kv else b""
        seen.append((event.kind, event.kv.value, before))
        if len(seen) == 3:
            break
    await watch.cancel()
    expected = [("PUT", b"history", b""), ("PUT", b"live", b"history"), ("DELETE", b"", b"live")]
    assert seen == expected, seen


async def leases(client):
    lease = await client.lease(2)
    await client.put(b"python/l", b"held", lease=lease)
    assert (await lease.remaining_ttl()) <= 2
    answer = await lease.refresh()
    assert answer.TTL == 2, answer
    for _ in range(60):
        if await client.get(b"python/l") is None:
            break
        await asyncio.sleep(0.1)
    else:
        raise AssertionError("the lease never ended")
    async with client.lock(b"python/m", ttl=5):
        pass


async def compaction(client):
    revision = (await client.put(b"python/u", b"1")).header.revision
    await client.compact(revision, physical=True)
    watch = await client.watch(b"python/u", start_revision=1)
    try:
        async for event in watch:
            raise AssertionError(f"an event from before the compaction: {event}")
    except aetcd.RevisionCompactedError as refusal:
        assert refusal.compacted_revision == revision, refusal
    status = await client.status()
    assert status.version.startswith("3."), status


async def main():
    host, port = sys.argv[1].rsplit(":", 1)
    async with aetcd.Client(host=host, port=int(port)) as client:
        await client.delete_prefix(b"python/")
        for part in (keys, transactions, watches, leases, compaction):
            await asyncio.wait_for(part(client), 30)
        await client.delete_prefix(b"python/")
    print("ok")


asyncio.run(main())
