import { type SessionSurroundings, sessionOver } from '../sessions.js';
import { type Finding, fine, hampers } from './contract.js';

/** Whether somebody is logged in over this interface: a socket that takes all packets would cut that off. */
export function checkSession(name: string, surroundings: SessionSurroundings = {}): Finding {
  const check = 'ssh';
  const session = sessionOver(name, surroundings);
  if (session === undefined) return fine(check, 'no session comes over this interface');
  const whose = session === 'mine' ? 'this ssh session comes' : 'an ssh session comes';
  return hampers(
    check,
    `${whose} over ${name}: AF_XDP sockets with receive: 'all' would take its packets, too, and are refused`,
    'receive by rules, work over another interface, or say allowCutoff: true',
  );
}
