/**
 * Results of `work` over `items`, in order, with at most `concurrency` under way and at most `ahead` finished results
 * waiting for an earlier one; so any number of items runs in bounded memory.
 * @throws what `work` throws first, in order of items; work that is under way is waited for.
 */
export async function* mapBounded<T, R>(
  items: Iterable<T> | AsyncIterable<T>,
  concurrency: number,
  work: (item: T, index: number) => Promise<R>,
  ahead = concurrency,
): AsyncGenerator<R> {
  const running: Promise<R>[] = [];
  let active = 0;
  const wake: { now: () => void } = { now: () => undefined };
  const start = (item: T, index: number): void => {
    active++;
    const result = work(item, index).finally(() => {
      active--;
      wake.now();
    });
    // Its error is thrown where the result is taken.
    result.catch(() => undefined);
    running.push(result);
  };
  try {
    let index = 0;
    for await (const item of items) {
      while (active >= concurrency && running.length < concurrency + ahead) {
        const first = running[0] as Promise<R>;
        const freed = new Promise<'freed'>((resolve) => (wake.now = () => resolve('freed')));
        const got = await Promise.race([first.then((value) => ({ value })), freed]);
        if (got !== 'freed') {
          running.shift();
          yield got.value;
        }
      }
      while (running.length >= concurrency + ahead) yield await (running.shift() as Promise<R>);
      start(item, index++);
    }
    while (running.length > 0) yield await (running.shift() as Promise<R>);
  } finally {
    await Promise.allSettled(running);
  }
}
