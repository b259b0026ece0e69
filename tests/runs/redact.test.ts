import { expect, test } from 'vitest';
import { looksSecret, redact, REDACTED } from '../../src/runs/index.js';

test.each([
  'key',
  'token',
  'apiKey',
  'api_key',
  'API-KEY',
  'apikey',
  'tinkerApiKey',
  'HF_TOKEN',
  'hfToken',
  'accessToken',
  'authTokens',
  'apiKeys',
  'privateKey',
  'clientSecret',
  'secretName',
  'password',
  'dbPassword',
  'sshPassphrase',
  'credentials',
  'Authorization',
])('%s is a secret', (name) => expect(looksSecret(name)).toBe(true));

test.each([
  'maxTokens',
  'tokens',
  'tokensPerMicroBatch',
  'tokenizer',
  'tokenizerPath',
  'sampling.maxTokens',
  'tokenMean',
  'token-mean',
  'eosToken',
  'bos_token',
  'padTokenId',
  'stopTokens',
  'answerKey',
  'keyField',
  'keys',
  'keep',
  'monkey',
  'keyboard',
  'publicKey',
  'lossPerToken',
])('%s is not', (name) => expect(looksSecret(name)).toBe(false));

test('secrets go at every depth, whatever their shape; numbers of tokens stay', () => {
  const config = {
    engine: { kind: 'tinker', apiKey: 'abc', headers: [{ authorization: 'Bearer x' }], password: 1234 },
    token: { value: 'abc' },
    maxTokens: 512,
    key: null,
    apiToken: '',
    url: 'https://me:hunter2@example.org/v1',
    note: 'use hf_abcdefghijklmnopqrstuvwxyz please',
  };
  expect(redact(config)).toEqual({
    engine: { kind: 'tinker', apiKey: REDACTED, headers: [{ authorization: REDACTED }], password: REDACTED },
    token: REDACTED,
    maxTokens: 512,
    key: null,
    apiToken: '',
    url: `https://${REDACTED}@example.org/v1`,
    note: `use ${REDACTED} please`,
  });
});
