import { Argument, type Option } from "commander";
import { HowdahError } from "../../errors.ts";
import type { CliCommand } from "../command.ts";
import { GLOBAL_OPTIONS } from "../global-options.ts";

/** `howdah completion <shell>`: the script that completes these commands and their options. */
export function completionCommand(commands: readonly CliCommand[]): CliCommand {
  return {
    usage: "completion <shell>",
    summary: "print the script with which bash, zsh or fish complete commands",
    examples: [
      'eval "$(howdah completion bash)"',
      'eval "$(howdah completion zsh)"',
      "howdah completion fish > ~/.config/fish/completions/howdah.fish",
    ],
    async run({ screen, globals, arguments: [shell = ""] }) {
      if (!Object.hasOwn(SCRIPTS, shell))
        throw new HowdahError(
          "HOWDAH_OPTION_INVALID",
          `There is no completion for ${JSON.stringify(shell)}: give bash, zsh or fish.`,
        );
      const script = SCRIPTS[shell as keyof typeof SCRIPTS](commands.map(wordsOf));
      if (globals.json) screen.printJson({ shell, script });
      else screen.print(script);
      return Promise.resolve();
    },
  };
}

const SCRIPTS = { bash, zsh, fish };

/** What can be completed of one command. */
interface CommandWords {
  readonly name: string;
  readonly summary: string;
  /** The words of an argument that is one of a few, such as `list|pause`. */
  readonly words: readonly string[];
  readonly options: readonly OptionWords[];
}

interface OptionWords {
  readonly flag: string;
  readonly summary: string;
  readonly choices: readonly string[];
}

function wordsOf({ usage, summary, options = [] }: CliCommand): CommandWords {
  const [name = "", argument = ""] = usage.split(" ");
  const words = argument.includes("|") ? new Argument(argument).name().split("|") : [];
  return { name, summary, words, options: [...options, ...GLOBAL_OPTIONS].map(optionWords) };
}

function optionWords({ long, description, argChoices = [] }: Option): OptionWords {
  return { flag: long ?? "", summary: description, choices: argChoices };
}

/** The first word that is no option, nor the value of one that every command has, is the command. */
function bash(commands: readonly CommandWords[]): string {
  const valued = GLOBAL_OPTIONS.filter(({ required }) => required).map(({ long }) => long);
  const cases = commands.flatMap(({ name, words, options }) => [
    ...options
      .filter(({ choices }) => choices.length > 0)
      .map(({ flag, choices }) => `    ${name}:${flag}) words="${choices.join(" ")}" ;;`),
    `    ${name}:*) words="${[...words, ...options.map(({ flag }) => flag)].join(" ")}" ;;`,
  ]);
  return `_howdah() {
  local current=\${COMP_WORDS[COMP_CWORD]} previous=\${COMP_WORDS[COMP_CWORD-1]} command= words= index
  for ((index = 1; index < COMP_CWORD; index++)); do
    case \${COMP_WORDS[index]} in
      ${valued.join("|")}) index=$((index + 1)) ;;
      -*) ;;
      *) command=\${COMP_WORDS[index]}; break ;;
    esac
  done
  case $command:$previous in
    :*) words="${commands.map(({ name }) => name).join(" ")}" ;;
${cases.join("\n")}
  esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -o default -F _howdah howdah`;
}

function zsh(commands: readonly CommandWords[]): string {
  return `autoload -Uz bashcompinit && bashcompinit\n${bash(commands)}`;
}

function fish(commands: readonly CommandWords[]): string {
  const quoted = (text: string): string => `'${text.replaceAll("\\", "\\\\").replaceAll("'", String.raw`\'`)}'`;
  return commands
    .flatMap(({ name, summary, words, options }) => {
      const seen = `complete -c howdah -n '__fish_seen_subcommand_from ${name}'`;
      return [
        `complete -c howdah -f -n __fish_use_subcommand -a ${name} -d ${quoted(summary)}`,
        ...(words.length === 0 ? [] : [`${seen} -f -a ${quoted(words.join(" "))}`]),
        ...options.map(({ flag, summary: text, choices }) => {
          const among = choices.length === 0 ? "" : ` -x -a ${quoted(choices.join(" "))}`;
          return `${seen} -l ${flag.slice(2)}${among} -d ${quoted(text)}`;
        }),
      ];
    })
    .join("\n");
}
