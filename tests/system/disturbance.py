"""What makes the timing of real processes random: links that deliver late, and processes that stand still for a while.

Both work in threads of the test while the `with` lasts and count what they did. Neither loses or reorders anything.
"""
import asyncio
import random
import signal
import threading
import time

CHUNK_BYTES = 65536


class SlowLinks:
    """What connects to 127.0.0.2:PORT reaches 127.0.0.1:PORT. Each chunk that is read, of either direction, goes on up to
    `most_ms` later, and what follows it waits behind it. A connection that one side closes is closed on the other."""

    def __init__(self, ports, most_ms=30):
        self.ports, self.most_s, self.n_chunks = ports, most_ms / 1000, 0

    def __enter__(self):
        self.loop, self.pumps = asyncio.new_event_loop(), set()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        self.servers = [self._do(asyncio.start_server(lambda *ends, port=p: self._carry(port, *ends), "127.0.0.2", p))
                        for p in self.ports]
        return self

    def __exit__(self, *_):
        self._do(self._close())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.loop.close()

    def _do(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result()

    async def _close(self):
        for server in self.servers:
            server.close()
        for pump in self.pumps:
            pump.cancel()
        await asyncio.gather(*self.pumps, return_exceptions=True)

    async def _carry(self, port, reader, writer):
        """One connection, in two pumps; the first that ends takes the other along."""
        self.pumps.add(asyncio.current_task())
        pumps = []
        try:
            to_reader, to_writer = await asyncio.open_connection("127.0.0.1", port)
            pumps = [asyncio.create_task(self._pump(reader, to_writer)), asyncio.create_task(self._pump(to_reader, writer))]
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            to_writer.close()
        except OSError:
            pass    # the learner is not there yet; ZeroMQ connects again
        finally:
            for pump in pumps:
                pump.cancel()
            writer.close()
            self.pumps.discard(asyncio.current_task())

    async def _pump(self, reader, writer):
        try:
            while chunk := await reader.read(CHUNK_BYTES):
                await asyncio.sleep(random.uniform(0, self.most_s))
                writer.write(chunk)
                await writer.drain()
                self.n_chunks += 1
        except OSError:
            pass    # closed


class Pauses:
    """Stops one of the processes that `choices()` names (objects with send_signal) for 5 to 80 ms, again and again."""

    def __init__(self, choices):
        self.choices, self.n_pauses, self.lock, self.spared, self.error = choices, 0, threading.Lock(), [], None
        self.is_over = threading.Event()

    def __enter__(self):
        self.thread = threading.Thread(target=self._keep_on, daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.is_over.set()
        self.thread.join()
        assert self.error is None, f"nothing was stopped any more: {self.error!r}"

    def spare(self, process):
        """From now on `process` runs, and is left alone."""
        with self.lock:
            self.spared.append(process)

    def _keep_on(self):
        try:
            self._run()
        except Exception as e:
            self.error = e

    def _run(self):
        while not self.is_over.wait(random.uniform(0, 0.04)):
            with self.lock:
                choices = [p for p in self.choices() if p not in self.spared]
                if not choices:
                    continue
                process = random.choice(choices)
                process.send_signal(signal.SIGSTOP)
                time.sleep(random.uniform(0.005, 0.08))
                process.send_signal(signal.SIGCONT)
                self.n_pauses += 1
