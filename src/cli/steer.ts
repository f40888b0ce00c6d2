import { FLOW_RULE_FIELDS } from '../steering/rules.js';
import { CommandLine, type OptionTable } from './options.js';
import { addEntries, listEntries, removeEntries } from './steer/entries.js';
import { explain } from './steer/explain.js';
import { usage } from './steer/rule-text.js';

const HELP = `tp4 steer explain RULE... [options]             which rule wins, and what a list of rules is compiled to
tp4 steer list INTERFACE [--json]               the n-tuple entries of a device's flow director
tp4 steer add INTERFACE RULE... [options]       add entries: they stay until they are removed
tp4 steer del INTERFACE LOCATION...|all         remove entries

RULE is fields with their values, protocol=udp,destinationPort=1024-2047,to=drop, or as JSON, one rule or a list of them. Fields are
${FLOW_RULE_FIELDS.join(', ')}. A range of ports is written FIRST-LAST, a bucket INDEX/COUNT, a queue to=queue:N.
What a socket is given with \`receive: [...]\` is explained; entries are added with to=queue:N or to=drop, and the most specific one wins.

  --capture FILE    explain: how many packets of a pcap or pcapng file each rule decides
  --allow-cutoff    add: even where it may cut off an ssh session over the interface
  --json            for programs

  tp4 steer explain to=socket protocol=tcp,port=22,to=stack source=192.0.2.0/24,to=drop
  tp4 steer explain '[{"protocol": "udp", "port": 53}]' --capture captures/veth-mixed.pcap
  tp4 steer add eth1 protocol=udp,destinationPort=53,to=queue:3
`;

const OPTIONS: OptionTable = {
  capture: { type: 'string' },
  'allow-cutoff': { type: 'boolean' },
  json: { type: 'boolean' },
};
/** The options of each command. */
const COMMANDS: Readonly<Record<string, readonly string[]>> = {
  explain: ['capture', 'json'],
  list: ['json'],
  add: ['allow-cutoff', 'json'],
  del: ['json'],
};

/**
 * `tp4 steer`. Returns the exit code.
 *
 * @throws PacketError INVALID_OPTION, FLOW_TABLE_FULL, RULES_UNSUPPORTED, NO_INTERFACE, NO_QUEUE, NO_PRIVILEGE, GUARDED_INTERFACE,
 *   UNSUPPORTED_PLATFORM, SYSTEM_CALL, CAPTURE_CORRUPT
 */
export async function steer(args: readonly string[]): Promise<number> {
  const line = new CommandLine('tp4 steer', args, OPTIONS);
  if (line.has('help')) {
    process.stdout.write(HELP);
    return 0;
  }
  const [what, ...texts] = line.positionals;
  if (what === undefined || !Object.hasOwn(COMMANDS, what)) {
    const known = Object.keys(COMMANDS).join(', ');
    throw usage(what === undefined ? 'what is to be done is not said' : `"${what}" is none of ${known}`);
  }
  const idle = Object.keys(OPTIONS).filter((option) => !COMMANDS[what]!.includes(option));
  line.expectNone(idle, `with ${what}`);
  const json = line.has('json');
  if (what === 'explain') return explain(texts, line.text('capture'), json);
  const [name, ...rest] = texts;
  if (name === undefined) throw usage(`${what}: no interface is given`);
  if (what === 'list' && rest.length > 0) throw usage(`list: "${rest[0]}" is too much`);
  if (what === 'list') return listEntries(name, json);
  if (rest.length === 0) throw usage(what === 'add' ? 'add: no rule is given' : 'del: no location is given');
  return what === 'add' ? addEntries(name, rest, line.has('allow-cutoff'), json) : removeEntries(name, rest, json);
}
