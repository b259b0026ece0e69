import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, describe, expect, it } from 'vitest';
import {
  EmbeddedRunner,
  embeddedRunner,
  NativeRunner,
  RemoteRunner,
  type RunResult,
} from '../../../src/tasks/index.js';
import { codeRunnerContract } from '../../support/code-runner-contract.js';

/** SandboxFusion's /run_code over the embedded runner; `fail` answers come first. */
function fakeServer(fail = 0): Promise<{ server: Server; url: string }> {
  let left = fail;
  const server = createServer((request, reply) => {
    let body = '';
    request.on('data', (chunk) => (body += chunk));
    request.on(
      'end',
      () =>
        void answer(body).then(
          (text) => reply.end(text),
          () => reply.writeHead(500).end(),
        ),
    );
  });
  const answer = async (body: string): Promise<string> => {
    if (left-- > 0) throw new Error('fails');
    const asked = JSON.parse(body) as { code: string; stdin: string; run_timeout: number };
    const { code, stdin, run_timeout: wallSeconds } = asked;
    return JSON.stringify(fusion(await embeddedRunner().run({ code, stdin, limits: { wallSeconds } })));
  };
  return new Promise((resolve) =>
    server.listen(0, '127.0.0.1', () =>
      resolve({ server, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` }),
    ),
  );
}

function fusion({ outcome, exitCode, stdout, stderr }: RunResult): unknown {
  const status = outcome === 'limit' ? 'TimeLimitExceeded' : 'Finished';
  return {
    status: outcome === 'finished' && exitCode === 0 ? 'Success' : 'Failed',
    message: '',
    compile_result: null,
    run_result: { status, execution_time: 0.1, return_code: exitCode, stdout, stderr },
  };
}

const servers: Server[] = [];
afterAll(() => servers.forEach((server) => server.close()));

async function remote(fail = 0): Promise<RemoteRunner> {
  const { server, url } = await fakeServer(fail);
  servers.push(server);
  return new RemoteRunner({ url });
}

function whyNotNative(): string | undefined {
  try {
    new NativeRunner();
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

codeRunnerContract('the embedded runner', () => new EmbeddedRunner({ parallel: 2 }));
codeRunnerContract('the native runner', () => new NativeRunner({ parallel: 2 }), whyNotNative());
codeRunnerContract('the remote runner', () => remote());

describe('the embedded runner', () => {
  it('counts work the same every time', async () => {
    const code = 'total = 0\nfor i in range(200000): total += i';
    const [first, second] = [await embeddedRunner().run({ code }), await embeddedRunner().run({ code })];
    expect(first.work).toBeGreaterThan(190_000);
    expect(second.work).toBe(first.work);
  });
});

describe('the remote runner', () => {
  it('tries again, then says that nothing is known of the program', async () => {
    expect((await (await remote(2)).run({ code: 'print(1)' })).stdout).toBe('1\n');
    expect((await (await remote(9)).run({ code: 'print(1)' })).outcome).toBe('fault');
  });
});
