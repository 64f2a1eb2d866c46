"""`python -m src.bench <command>`: one module a command."""

from src.bench.generate import generate
from src.bench.train import train
from src.run import console

app = console.command_app("Measure this machine: training, generation.")
app.command()(train)
app.command()(generate)

if __name__ == "__main__":
    console.run(app)
