import { cp, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { RandomStream } from '../../src/core/index.js';
import {
  type LoraPair,
  mergeAdapter,
  openSafetensors,
  readTrainedAdapter,
  type TensorSource,
  weightsHash,
  writeCharTokenizer,
  writeSafetensors,
} from '../../src/model/index.js';
import { failure, golden, scratch } from './helpers.js';

const BASE = golden('tiny-llama-untied');
const RANK = 3;
const SCALE = 2 / RANK;

function values(name: string, count: number): Float32Array {
  const random = new RandomStream(5, 'merge', name);
  return Float32Array.from({ length: count }, (_, i) => random.uniform(i) - 0.5);
}

/** Factors for q_proj of layer 0 ([32, 32]) and down_proj of layer 1 ([32, 48]). */
function pairs(): Map<string, LoraPair> {
  const sizes = new Map([
    ['model.layers.0.self_attn.q_proj', [32, 32]],
    ['model.layers.1.mlp.down_proj', [32, 48]],
  ]);
  return new Map(
    [...sizes].map(([module, [out = 0, width = 0]]) => [
      module,
      { a: values(`${module} a`, RANK * width), b: values(`${module} b`, out * RANK) },
    ]),
  );
}

const adapter = (tensors = pairs()) => ({ rank: RANK, scale: SCALE, tensors });

async function merged(): Promise<string> {
  const out = join(await scratch(), 'merged');
  await mergeAdapter(BASE, adapter(), out, { where: 'adapter' });
  return out;
}

type Tensors = [string, TensorSource][];

/** A file as training saves it. */
async function trained(change: (tensors: Tensors) => Tensors): Promise<string> {
  const tensors = [...pairs()].flatMap(([module, { a, b }]): Tensors => [
    [`${module}.lora_A.weight`, { shape: [RANK, a.length / RANK], data: a }],
    [`${module}.lora_B.weight`, { shape: [b.length / RANK, RANK], data: b }],
  ]);
  const file = join(await scratch(), 'weights.safetensors');
  await writeSafetensors(file, change(tensors));
  return file;
}

describe('mergeAdapter', () => {
  it('adds scale * B A to the adapted weights and leaves the others bit for bit', async () => {
    const [before, after] = [await openSafetensors(BASE), await openSafetensors(await merged())];
    expect(after.names()).toEqual(before.names());
    for (const name of before.names()) {
      const { data: weight, shape } = await before.read(name);
      const { data } = await after.read(name);
      const pair = pairs().get(name.slice(0, -'.weight'.length));
      if (!pair) {
        expect(data).toEqual(weight);
        continue;
      }
      const width = shape[1] as number;
      const expected = weight.map((value, i) => {
        const [o, j] = [Math.floor(i / width), i % width];
        const ranks = [0, 1, 2].map((k) => (pair.b[o * RANK + k] as number) * (pair.a[k * width + j] as number));
        return value + SCALE * ranks.reduce((sum, product) => sum + product, 0);
      });
      const furthest = Math.max(...data.map((value, i) => Math.abs(value - (expected[i] as number))));
      expect(furthest).toBeLessThan(1e-6);
    }
  });

  it('takes the tokenizer along', async () => {
    const base = join(await scratch(), 'base');
    await cp(BASE, base, { recursive: true });
    await writeCharTokenizer(base, '0123456789');
    const out = join(await scratch(), 'merged');
    await mergeAdapter(base, adapter(), out, { where: 'adapter' });
    expect(await readdir(out)).toEqual(
      expect.arrayContaining(['config.json', 'model.safetensors', 'tokenizer.json', 'tokenizer_config.json']),
    );
  });

  it('refuses an adapter of another model before it writes anything', async () => {
    const out = join(await scratch(), 'merged');
    const strange = new Map([...pairs()].map(([module, pair]) => [module.replace('layers.1', 'layers.7'), pair]));
    const error = await failure(mergeAdapter(BASE, adapter(strange), out, { where: 'adapter' }));
    expect(error.message).toContain('adapter: the model has no linear layer model.layers.7.mlp.down_proj');
    expect((await failure(openSafetensors(out))).message).toContain('no such file or folder');
  });
});

describe('readTrainedAdapter', () => {
  const settings = { rank: RANK, alpha: 2, targets: ['q_proj', 'down_proj'] };

  it('reads the factors that training saved', async () => {
    const read = await readTrainedAdapter(await trained((tensors) => tensors), settings);
    expect(read).toMatchObject({ rank: RANK, alpha: 2, scale: SCALE, targets: settings.targets });
    expect(new Map([...read.tensors].sort())).toEqual(new Map([...pairs()].sort()));
  });

  it.each<[string, (tensors: Tensors) => Tensors]>([
    ['another tensor', (all) => [...all, ['model.norm.weight', { shape: [1], data: Float32Array.of(1) }]]],
    ['one factor alone', (all) => all.slice(0, -1)],
    ['none', () => []],
  ])('refuses a file with %s', async (_name, change) => {
    const error = await failure(readTrainedAdapter(await trained(change), settings));
    expect(error.message).toContain('does not hold an adapter and nothing else');
  });

  it('refuses another rank and values that are not finite', async () => {
    const file = await trained((tensors) => tensors);
    expect((await failure(readTrainedAdapter(file, { ...settings, rank: 4 }))).message).toContain('lora_A');
    const broken = await trained((tensors) =>
      tensors.map(([name, source], i) => [
        name,
        i === 0 ? { ...source, data: new Float32Array(RANK * 32).fill(NaN) } : source,
      ]),
    );
    expect((await failure(readTrainedAdapter(broken, settings))).message).toContain('NaN or infinity');
  });
});

describe('weightsHash', () => {
  it('is that of the tensors, however they lie in files', async () => {
    const weights = await openSafetensors(BASE);
    const folder = join(await scratch(), 'shards');
    await cp(join(BASE, 'config.json'), join(folder, 'config.json'));
    const shards = new Map(weights.names().map((name, i) => [name, `shard-${i % 2}.safetensors`]));
    for (const shard of new Set(shards.values())) {
      const names = weights.names().filter((name) => shards.get(name) === shard);
      const tensors = await Promise.all(names.map(async (name) => [name, await weights.read(name)] as const));
      await writeSafetensors(join(folder, shard), tensors);
    }
    const index = JSON.stringify({ weight_map: Object.fromEntries(shards) });
    await writeFile(join(folder, 'model.safetensors.index.json'), index);
    expect(await weightsHash(folder)).toBe(await weightsHash(BASE));
  });

  it('changes with the weights', async () => {
    expect(await weightsHash(await merged())).not.toBe(await weightsHash(BASE));
  });
});
