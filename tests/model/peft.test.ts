import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  checkAdapterFits,
  loraScale,
  mergeLoraInto,
  readPeftAdapter,
  writePeftAdapter,
  writeSafetensors,
  type PeftAdapterSource,
} from '../../src/model/index.js';
import { failure, scratch } from './helpers.js';

const Q = 'model.layers.0.self_attn.q_proj';
const DOWN = 'model.layers.1.mlp.down_proj';

function sample(): PeftAdapterSource {
  return {
    rank: 2,
    alpha: 6,
    targets: ['q_proj', 'down_proj'],
    baseModel: 'someone/model',
    tensors: new Map([
      [Q, { a: Float32Array.of(1, 2, 3, 4, 5, 6), b: Float32Array.of(0.5, -1, 2, 0, 1, 1, -0, 7) }],
      [DOWN, { a: Float32Array.of(9, 8), b: Float32Array.of(1e-30, 3) }],
    ]),
  };
}

/** An adapter folder whose adapter_config.json is changed by hand. */
async function written(change: Record<string, unknown> = {}, adapter = sample()): Promise<string> {
  const folder = join(await scratch(), 'adapter');
  await writePeftAdapter(folder, adapter);
  const file = join(folder, 'adapter_config.json');
  const config = JSON.parse(await readFile(file, 'utf8')) as Record<string, unknown>;
  await writeFile(file, JSON.stringify({ ...config, ...change }));
  return folder;
}

describe('round trip', () => {
  it('reads what it writes, bit for bit', async () => {
    const adapter = await readPeftAdapter(await written());
    expect(adapter).toMatchObject({ rank: 2, alpha: 6, scale: 3, rslora: false, dropout: 0 });
    expect(adapter.targets).toEqual(['down_proj', 'q_proj']);
    expect(adapter.baseModel).toBe('someone/model');
    expect([...adapter.tensors.keys()]).toEqual([Q, DOWN]);
    for (const [module, pair] of sample().tensors) expect(adapter.tensors.get(module)).toEqual(pair);
  });

  it('keeps any factors and settings', async () => {
    const factor = (length: number) =>
      fc.float32Array({ minLength: length, maxLength: length, noNaN: true, noDefaultInfinity: true });
    const cases = fc
      .record({ rank: fc.integer({ min: 1, max: 4 }), input: fc.integer({ min: 1, max: 5 }) })
      .chain(({ rank, input }) =>
        fc.record({
          rank: fc.constant(rank),
          alpha: fc.integer({ min: 1, max: 64 }),
          rslora: fc.boolean(),
          a: factor(rank * input),
          b: factor(rank * 3),
        }),
      );
    await fc.assert(
      fc.asyncProperty(cases, async ({ a, b, ...settings }) => {
        const folder = join(await scratch(), 'adapter');
        await writePeftAdapter(folder, {
          ...settings,
          targets: ['v_proj'],
          tensors: new Map([['x.v_proj', { a, b }]]),
        });
        const adapter = await readPeftAdapter(folder);
        expect(adapter).toMatchObject({ ...settings, scale: loraScale(settings) });
        expect(adapter.tensors.get('x.v_proj')).toEqual({ a, b });
      }),
      { seed: 3, numRuns: 25 },
    );
  });

  it('writes config and names as PEFT does', async () => {
    const folder = await written();
    const config = JSON.parse(await readFile(join(folder, 'adapter_config.json'), 'utf8')) as unknown;
    expect(config).toMatchObject({ peft_type: 'LORA', task_type: 'CAUSAL_LM', r: 2, lora_alpha: 6, bias: 'none' });
    const header = await readFile(join(folder, 'adapter_model.safetensors'), 'latin1');
    expect(header).toContain(`"base_model.model.${Q}.lora_A.weight":{"dtype":"F32","shape":[2,3]`);
    expect(header).toContain(`"base_model.model.${DOWN}.lora_B.weight":{"dtype":"F32","shape":[1,2]`);
  });

  it('does not overwrite an adapter', async () => {
    const error = await failure(writePeftAdapter(await written(), sample()));
    expect([error.kind, error.message]).toEqual(['usage', expect.stringContaining('already holds an adapter')]);
  });

  it('refuses factors that do not fit', async () => {
    const folder = join(await scratch(), 'adapter');
    const odd = new Map([[Q, { a: Float32Array.of(1, 2, 3), b: Float32Array.of(1, 2) }]]);
    expect((await failure(writePeftAdapter(folder, { ...sample(), tensors: odd }))).message).toContain('rank 2');
    expect((await failure(writePeftAdapter(folder, { ...sample(), targets: ['v_proj'] }))).message).toContain(
      'none of the targets',
    );
  });
});

describe('refusals', () => {
  it.each([
    ['use_dora', true],
    ['bias', 'all'],
    ['modules_to_save', ['lm_head']],
    ['fan_in_fan_out', true],
    ['rank_pattern', { q_proj: 8 }],
    ['alpha_pattern', { q_proj: 8 }],
    ['layer_replication', [[0, 1]]],
    ['init_lora_weights', 'pissa'],
    ['peft_type', 'IA3'],
    ['task_type', 'SEQ_CLS'],
    ['trainable_token_indices', [1]],
    ['an_option_of_the_future', 'on'],
    ['r', 0],
    ['lora_alpha', '8'],
    ['target_modules', []],
  ])('%s: %j by name', async (field, value) => {
    const error = await failure(readPeftAdapter(await written({ [field]: value })));
    expect(error.kind).toBe('input');
    expect(error.message).toContain(field);
  });

  it('a rank that the factors do not have', async () => {
    expect((await failure(readPeftAdapter(await written({ r: 3 })))).message).toContain('does not fit rank 3');
  });

  it('pickled weights, with the way out', async () => {
    const folder = await scratch();
    await writeFile(join(folder, 'adapter_config.json'), JSON.stringify({ peft_type: 'LORA', r: 1, lora_alpha: 1 }));
    await writeFile(join(folder, 'adapter_model.bin'), 'x');
    const error = await failure(readPeftAdapter(folder));
    expect(error.message).toContain('pickled');
    expect(error.hint).toContain('safe_serialization');
  });

  it('factors of embeddings and half a pair', async () => {
    const folder = await scratch();
    const config = { peft_type: 'LORA', r: 1, lora_alpha: 1, target_modules: 'all-linear' };
    await writeFile(join(folder, 'adapter_config.json'), JSON.stringify(config));
    const one = { shape: [1, 1], data: Float32Array.of(1) };
    const weights = join(folder, 'adapter_model.safetensors');
    await writeSafetensors(weights, [['base_model.model.model.embed_tokens.lora_embedding_A', one]]);
    expect((await failure(readPeftAdapter(folder))).message).toContain('not a factor of a linear layer');
    await writeSafetensors(weights, [[`base_model.model.${Q}.lora_A.weight`, one]]);
    expect((await failure(readPeftAdapter(folder))).message).toContain(`${Q} has no lora_B`);
    await writeSafetensors(weights, []);
    expect((await failure(readPeftAdapter(folder))).message).toContain('no LoRA tensors');
  });

  it('a folder without an adapter', async () => {
    const folder = join(await scratch(), 'empty');
    await mkdir(folder);
    expect((await failure(readPeftAdapter(folder))).message).toContain('adapter_config.json');
  });
});

describe('target_modules', () => {
  it.each([[['q_proj', 'down_proj']], [[Q, DOWN]], ['all-linear'], ['.*\\.(q|down)_proj'], [null]])(
    '%j covers the modules',
    async (target_modules) => {
      expect((await readPeftAdapter(await written({ target_modules }))).tensors.size).toBe(2);
    },
  );

  it.each([[['q_proj']], [['proj']], ['.*q_proj'], ['q_proj|down_proj']])(
    '%j leaves one out, which PEFT would ignore',
    async (target_modules) => {
      const error = await failure(readPeftAdapter(await written({ target_modules })));
      expect(error.message).toContain('target_modules does not cover');
    },
  );

  it('regular expressions that cannot be read, or do not end, are refused', async () => {
    expect((await failure(readPeftAdapter(await written({ target_modules: '(' })))).message).toContain(
      'target_modules',
    );
    const endless = await written({ target_modules: '(([a-z_.0-9])+)+!' });
    expect((await failure(readPeftAdapter(endless))).message).toContain('took longer');
  });
});

describe('use', () => {
  it('checks that the adapter fits the model', async () => {
    const adapter = await readPeftAdapter(await written());
    const shapes = new Map([
      [`${Q}.weight`, [4, 3]],
      [`${DOWN}.weight`, [1, 1]],
    ]);
    expect(() => checkAdapterFits(adapter, shapes, 'model')).not.toThrow();
    shapes.set(`${DOWN}.weight`, [1, 2]);
    expect((await failure(() => checkAdapterFits(adapter, shapes, 'model'))).message).toContain(DOWN);
    shapes.delete(`${DOWN}.weight`);
    expect((await failure(() => checkAdapterFits(adapter, shapes, 'model'))).message).toContain('no linear layer');
  });

  it('merges W + scale * B A', () => {
    // B A of [2, 1] by [1, 3]
    const pair = { a: Float32Array.of(1, 2, 3), b: Float32Array.of(10, -1) };
    const weight = Float32Array.of(1, 1, 1, 0, 0, 0);
    mergeLoraInto(weight, pair, 1, 0.5);
    expect([...weight]).toEqual([6, 11, 16, -0.5, -1, -1.5]);
  });

  it('scales by alpha / r, or by alpha / sqrt(r)', () => {
    expect(loraScale({ rank: 16, alpha: 8, rslora: false })).toBe(0.5);
    expect(loraScale({ rank: 16, alpha: 8, rslora: true })).toBe(2);
  });
});
