"""What every driver is: {servers, commands} on standard input, one result per command on standard output."""
import json
import sys


def run_commands(open_client):
    given = json.load(sys.stdin)
    client = open_client(given["servers"])
    results = []
    for command in given["commands"]:
        try:
            value = client[command["do"]](**{k: v for k, v in command.items() if k != "do"})
            is_unsupported = isinstance(value, dict) and "unsupported" in value
            results.append(value if is_unsupported else {"value": value})
        except Exception as error:  # noqa: BLE001 - told to whoever asked
            results.append({"error": f"{type(error).__name__}: {error}"})
    print(json.dumps(results))
