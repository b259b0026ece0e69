import { describe, expect, it } from 'vitest';
import { HoneError } from '../../src/core/index.js';
import { llamaTensorShapes, parameterCount, parseModelConfig, toHfConfig } from '../../src/model/index.js';

const smol = {
  architectures: ['LlamaForCausalLM'],
  model_type: 'llama',
  vocab_size: 49152,
  hidden_size: 576,
  num_hidden_layers: 30,
  num_attention_heads: 9,
  num_key_value_heads: 3,
  intermediate_size: 1536,
  rope_theta: 100000,
  rope_scaling: null,
  rms_norm_eps: 1e-5,
  max_position_embeddings: 8192,
  tie_word_embeddings: true,
  bos_token_id: 1,
  eos_token_id: 2,
  hidden_act: 'silu',
};
const llama3 = {
  rope_type: 'llama3',
  factor: 32,
  low_freq_factor: 1,
  high_freq_factor: 4,
  original_max_position_embeddings: 8192,
};

/** Qwen2.5-0.5B, Qwen3-0.6B and SmolLM3-3B as their config.json files state them, in what concerns the shape. */
const qwen2 = {
  ...smol,
  architectures: ['Qwen2ForCausalLM'],
  model_type: 'qwen2',
  vocab_size: 151936,
  hidden_size: 896,
  intermediate_size: 4864,
  num_hidden_layers: 24,
  num_attention_heads: 14,
  num_key_value_heads: 2,
  rope_theta: 1000000,
  use_sliding_window: false,
  sliding_window: 32768,
  max_window_layers: 21,
};
const qwen3 = {
  ...qwen2,
  architectures: ['Qwen3ForCausalLM'],
  model_type: 'qwen3',
  attention_bias: false,
  hidden_size: 1024,
  intermediate_size: 3072,
  num_hidden_layers: 28,
  num_attention_heads: 16,
  num_key_value_heads: 8,
  head_dim: 128,
};
const smollm3 = {
  ...smol,
  architectures: ['SmolLM3ForCausalLM'],
  model_type: 'smollm3',
  vocab_size: 128256,
  hidden_size: 2048,
  intermediate_size: 11008,
  num_hidden_layers: 36,
  num_attention_heads: 16,
  num_key_value_heads: 4,
  rope_theta: 5000000,
  no_rope_layer_interval: 4,
  use_sliding_window: false,
};

describe('parseModelConfig', () => {
  it('reads every family, and knows what each leaves implicit', () => {
    const bare = { rope_theta: undefined, head_dim: undefined, tie_word_embeddings: undefined };
    const parse = (json: object) => parseModelConfig({ ...json, ...bare }, 'c');
    const none = { qkv: false, output: false, mlp: false };
    const plain = { biases: none, qkNorm: false, nopeLayers: [] };
    expect(parse(smol)).toMatchObject({ ...plain, architecture: 'llama', headDim: 64, ropeTheta: 1e4 });
    expect(parse(qwen2)).toMatchObject({ ...plain, biases: { ...none, qkv: true }, headDim: 64, tieEmbeddings: false });
    expect(parse(qwen3)).toMatchObject({ ...plain, qkNorm: true, headDim: 128, ropeTheta: 1e4 });
    const nopeLayers = [3, 7, 11, 15, 19, 23, 27, 31, 35];
    expect(parse(smollm3)).toMatchObject({ ...plain, nopeLayers, ropeTheta: 2e6, tieEmbeddings: true });
  });

  it('reads biases and the layers that do not rotate', () => {
    const biased = { ...smol, attention_bias: true, mlp_bias: true };
    expect(parseModelConfig(biased, 'c').biases).toEqual({ qkv: true, output: true, mlp: true });
    const rotating = Array.from({ length: 40 }, (_, i) => (i === 5 || i > 34 ? 0 : 1));
    const listed = { ...smollm3, no_rope_layers: rotating };
    expect(parseModelConfig(listed, 'c').nopeLayers).toEqual([5, 35]);
    expect(parseModelConfig({ ...smollm3, no_rope_layer_interval: 18 }, 'c').nopeLayers).toEqual([17, 35]);
  });

  it('reads a Llama config and fills what LlamaConfig leaves implicit', () => {
    const config = parseModelConfig(smol, 'config.json');
    expect(config).toMatchObject({ heads: 9, kvHeads: 3, headDim: 64, ropeTheta: 100000, tieEmbeddings: true });
    expect(config.eosIds).toEqual([2]);
    expect(config.ropeScaling).toBeUndefined();
    const bare = parseModelConfig(
      { ...smol, num_key_value_heads: undefined, rope_theta: undefined, tie_word_embeddings: undefined },
      'config.json',
    );
    expect(bare).toMatchObject({ kvHeads: 9, ropeTheta: 10000, tieEmbeddings: false });
  });

  it('reads rope settings where transformers 4 and 5 write them', () => {
    const four = parseModelConfig({ ...smol, rope_theta: 5e5, rope_scaling: llama3 }, 'c');
    const five = parseModelConfig(
      { ...smol, rope_theta: undefined, rope_parameters: { ...llama3, rope_theta: 5e5 } },
      'c',
    );
    expect(five).toEqual(four);
    expect(four.ropeScaling).toEqual({
      type: 'llama3',
      factor: 32,
      lowFreqFactor: 1,
      highFreqFactor: 4,
      originalMaxContext: 8192,
    });
  });

  it('survives a round trip through toHfConfig', () => {
    const scaled = { ...smol, rope_scaling: llama3, eos_token_id: [2, 5], bos_token_id: null, mlp_bias: true };
    for (const source of [smol, scaled, qwen2, qwen3, { ...qwen3, attention_bias: true }, smollm3]) {
      const config = parseModelConfig(source, 'c');
      expect(parseModelConfig(JSON.parse(JSON.stringify(toHfConfig(config))), 'c')).toEqual(config);
    }
  });

  it.each([
    [{ model_type: 'mamba' }, 'model_type: unknown architecture "mamba"'],
    [{ model_type: undefined }, 'model_type: is missing'],
    [{ architectures: ['LlamaForSequenceClassification'] }, 'architectures: unknown architecture'],
    [{ ...qwen2, architectures: ['Qwen2ForTokenClassification'] }, 'architectures: unknown architecture'],
    [{ ...qwen2, model_type: 'qwen2_moe' }, 'model_type: unknown architecture "qwen2_moe"'],
    [{ ...qwen2, use_sliding_window: true }, 'use_sliding_window'],
    [{ ...qwen3, layer_types: ['full_attention', 'sliding_attention'] }, 'layers of type "sliding_attention"'],
    [{ ...qwen2, attention_bias: true }, 'attention_bias: Qwen2ForCausalLM does not read it'],
    [{ ...qwen3, mlp_bias: true }, 'mlp_bias: Qwen3ForCausalLM does not read it'],
    [{ ...smollm3, no_rope_layers: [1, 0] }, 'no_rope_layers: lists 2 layers, the model has 36'],
    [{ ...smollm3, no_rope_layers: [2] }, 'no_rope_layers'],
    [{ partial_rotary_factor: 0.5 }, 'partial_rotary_factor'],
    [{ rope_parameters: { partial_rotary_factor: 0.5 } }, 'rope_parameters.partial_rotary_factor'],
    [{ ...qwen2, rope_scaling: { type: 'mrope' } }, 'rope_scaling: unknown rope type "mrope"'],
    [{ hidden_act: 'gelu' }, 'hidden_act: must be "silu"'],
    [{ rope_scaling: { type: 'yarn', factor: 4 } }, 'rope_scaling: unknown rope type "yarn"'],
    [{ rope_parameters: { rope_type: 'llama3' } }, 'rope_parameters: llama3 needs factor'],
    [{ vocab_size: 1.5 }, 'vocab_size'],
    [{ vocab_size: 1e12 }, 'vocab_size'],
    [{ num_hidden_layers: undefined }, 'num_hidden_layers'],
    [{ rms_norm_eps: 0 }, 'rms_norm_eps'],
    [{ num_key_value_heads: 2 }, 'num_key_value_heads'],
    [{ num_attention_heads: 7, num_key_value_heads: 7 }, 'hidden_size: 576 is not a multiple'],
    [{ head_dim: 63 }, 'head_dim'],
    [{ eos_token_id: 49152 }, 'eos_token_id: 49152 is outside'],
    [{ quantization_config: { bits: 4 } }, 'quantization_config'],
  ])('refuses %j by name', (change, message) => {
    const parse = () => parseModelConfig({ ...smol, ...change }, 'config.json');
    expect(parse).toThrow(HoneError);
    expect(parse).toThrow(message);
  });

  it.each([null, [], 'llama', 7])('refuses %j', (json) => {
    expect(() => parseModelConfig(json, 'config.json')).toThrow(HoneError);
  });
});

describe('llamaTensorShapes', () => {
  it('lists the tensors of SmolLM2-135M', () => {
    const config = parseModelConfig(smol, 'c');
    const shapes = llamaTensorShapes(config);
    expect(shapes.size).toBe(2 + 30 * 9);
    expect(shapes.get('model.layers.29.self_attn.k_proj.weight')).toEqual([192, 576]);
    expect(shapes.has('lm_head.weight')).toBe(false);
    expect(parameterCount(config)).toBe(134_515_008);
  });

  it('lists the tensors of Qwen2.5-0.5B, Qwen3-0.6B and SmolLM3-3B', () => {
    // The sizes are those of the published model cards: 0.49B, 0.6B and 3.08B.
    expect(parameterCount(parseModelConfig({ ...qwen2, tie_word_embeddings: true }, 'c'))).toBe(494_032_768);
    expect(parameterCount(parseModelConfig({ ...qwen3, tie_word_embeddings: true }, 'c'))).toBe(596_049_920);
    expect(parameterCount(parseModelConfig(smollm3, 'c'))).toBe(3_075_098_624);
    const shapes = llamaTensorShapes(parseModelConfig(qwen3, 'c'));
    expect(shapes.get('model.layers.0.self_attn.q_norm.weight')).toEqual([128]);
    expect(shapes.get('model.layers.0.self_attn.o_proj.weight')).toEqual([1024, 2048]);
    const biased = llamaTensorShapes(parseModelConfig(qwen2, 'c'));
    expect(biased.get('model.layers.0.self_attn.k_proj.bias')).toEqual([128]);
    expect(biased.has('model.layers.0.self_attn.o_proj.bias')).toBe(false);
  });

  it('has an LM head when embeddings are not tied', () => {
    const shapes = llamaTensorShapes(parseModelConfig({ ...smol, tie_word_embeddings: false }, 'c'));
    expect(shapes.get('lm_head.weight')).toEqual([49152, 576]);
  });
});
