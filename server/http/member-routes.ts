/** The members of the cluster: `/cluster/members`, and `/cluster/transfer`. */

import { PATHS } from '../../api/paths.js';
import type { ChangeResponse } from '../../api/types.js';
import type { ClusterRequest } from '../members/request.js';
import { answerJson } from './answer.js';
import { announcesBody } from './body.js';
import type { Context, Handler } from './context.js';
import { type JsonObject, checkNames } from './json.js';
import { type KeyRouteOptions, readJson, refuseBody } from './key-access.js';
import { badField } from './request-error.js';
import { parseParams, percentDecode } from './target.js';

export interface MemberRoutes {
  readonly onePath: RegExp;
  readonly promotePath: RegExp;
  readonly list: Handler;
  readonly add: Handler;
  readonly remove: Handler;
  readonly readdress: Handler;
  readonly promote: Handler;
  readonly transfer: Handler;
}

const BODY_BYTES_MAX = 16 * 1024;
const ADDRESSES = ['raft', 'rpc', 'http'] as const;
/** As `raft.nodeID` of a configuration file. */
const ID = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;
/** `host:port` with a port that can be called, or `[v6]:port`. */
const ADDRESS = /^(?:\[[0-9a-f:.]+\]|[A-Za-z0-9._-]+):([1-9]\d{0,4})$/i;
const PORT_MAX = 65_535;

export function memberRoutes(options: KeyRouteOptions): MemberRoutes {
  const { service } = options;
  const body = (ctx: Context): Promise<JsonObject> => readJson(ctx, options, BODY_BYTES_MAX);
  const change = async (ctx: Context, request: ClusterRequest): Promise<void> => {
    const answer = await service.changeCluster(request);
    const response: ChangeResponse =
      answer.status === 'done' ? { success: true } : { success: true, waitingFor: answer.waitingFor };
    answerJson(ctx, answer.status === 'done' ? 200 : 202, response);
  };
  const withoutBody = (request: (id: string) => ClusterRequest): Handler => {
    return async (ctx) => {
      parseParams(ctx.state.target.query, []);
      refuseBody(ctx);
      await change(ctx, request(idOfPath(ctx)));
    };
  };

  return {
    onePath: new RegExp(`^${PATHS.members}/[^/]+$`),
    promotePath: new RegExp(`^${PATHS.members}/[^/]+/promote$`),

    async list(ctx) {
      parseParams(ctx.state.target.query, []);
      const { members, waitingFor } = (await service.leaderMembers()) ?? service.clusterStatus();
      answerJson(ctx, 200, { members, waitingFor });
    },

    async add(ctx) {
      parseParams(ctx.state.target.query, []);
      const given = await body(ctx);
      checkNames(given, ['id', ...ADDRESSES, 'voter']);
      const { voter = true } = given;
      if (typeof voter !== 'boolean') throw badField('voter', 'must be true or false');
      await change(ctx, {
        type: 'add',
        id: checkedId(given['id'], 'id'),
        raft: addressOf(given, 'raft'),
        rpc: addressOf(given, 'rpc'),
        http: addressOf(given, 'http'),
        voter,
      });
    },

    remove: withoutBody((id) => ({ type: 'remove', id })),
    promote: async (ctx) => {
      parseParams(ctx.state.target.query, []);
      if (announcesBody(ctx.req)) checkNames(await body(ctx), []);
      await change(ctx, { type: 'promote', id: idOfPath(ctx) });
    },

    async readdress(ctx) {
      parseParams(ctx.state.target.query, []);
      const given = await body(ctx);
      checkNames(given, ADDRESSES);
      const named = ADDRESSES.filter((name) => given[name] !== undefined);
      if (named.length === 0)
        throw badField('raft', 'is missing, and rpc and http as well; give one at least');
      const addresses = Object.fromEntries(named.map((name) => [name, addressOf(given, name)]));
      await change(ctx, { type: 'readdress', id: idOfPath(ctx), addresses });
    },

    async transfer(ctx) {
      parseParams(ctx.state.target.query, []);
      const given = announcesBody(ctx.req) ? await body(ctx) : {};
      checkNames(given, ['to']);
      const { to } = given;
      await change(ctx, { type: 'transfer', ...(to !== undefined && { to: checkedId(to, 'to') }) });
    },
  };
}

function idOfPath(ctx: Context): string {
  const [id = ''] = ctx.state.target.path.slice(PATHS.members.length + 1).split('/');
  return checkedId(percentDecode(id, 'id'), 'id');
}

function checkedId(id: unknown, field: string): string {
  if (id === undefined) throw badField(field, 'is missing');
  if (typeof id === 'string' && ID.test(id)) return id;
  throw badField(
    field,
    'must be the id of a node: 1 to 64 letters, digits, ".", "_" and "-", a letter or digit first',
  );
}

function addressOf(given: JsonObject, name: string): string {
  const address = given[name];
  if (address === undefined) throw badField(name, 'is missing');
  const port = typeof address === 'string' ? ADDRESS.exec(address)?.[1] : undefined;
  if (typeof address === 'string' && port !== undefined && Number(port) <= PORT_MAX) return address;
  throw badField(name, 'must be host:port, as others call it');
}
