# Every command of the project. `make help` prints the settings. The stages themselves and what of them is done already
# are known to pipeline/stages: a Makefile cannot compare content, only times (docs/adr/0003-stage-keys.md).

MODEL      ?= convtasnet
TARGET     ?= tflite-int8
PROFILE    ?=
DATA       ?=
CHECKPOINT ?=
SPEC       ?=
SEGMENT    ?=
OUT        ?=
FILES      ?=
DIGITS     ?=
MIXTURES   ?=
NAME       ?=
STEPS      ?=
SEEDS      ?=
ARMS       ?=
PROCESSES  ?=
CLUSTER    ?=
BASE       ?= main
CPU        ?= all
KEY        ?=
CARD       ?=

PYTHON ?= $(shell command -v python3.11 || command -v python3)
SHELL  := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help deploy release docs train qat export convert package emulate emulate-arm64 arm64 validate report evaluate study ship bench models doctor lint test test-slow replay mutate lock onnx2tf clean
.NOTPARALLEL:

# The settings that each target takes on the command line. Others are refused before anything is made: a misspelt one would be ignored.
takes.deploy   := MODEL TARGET PROFILE DATA CHECKPOINT SPEC SEGMENT OUT
takes.help     := $(takes.deploy) BASE CPU FILES DIGITS MIXTURES KEY CARD NAME STEPS SEEDS ARMS PROCESSES CLUSTER
takes.release  := $(takes.deploy) KEY CARD
takes.qat      := $(filter-out OUT,$(takes.deploy))
takes.export   := $(takes.qat)
takes.convert  := $(takes.qat)
takes.package  := $(takes.qat)
takes.emulate  := $(takes.qat) CPU
takes.emulate-arm64 := $(takes.emulate) MIXTURES
takes.validate := $(takes.qat)
takes.report   := $(takes.qat)
takes.ship     := MODEL
takes.evaluate := $(takes.deploy) MIXTURES CLUSTER
takes.study    := NAME MODEL SPEC DATA CHECKPOINT STEPS SEEDS ARMS MIXTURES PROCESSES CLUSTER OUT
takes.bench    := $(filter-out TARGET,$(takes.qat))
takes.train    := $(filter-out TARGET PROFILE SEGMENT,$(takes.qat))
takes.replay   := BASE
takes.mutate   := FILES DIGITS

ALWAYS := PYTHON SHELL
KNOWN  := $(sort $(ALWAYS) $(foreach list,$(filter takes.%,$(.VARIABLES)),$($(list))))
GOALS  := $(or $(MAKECMDGOALS),$(.DEFAULT_GOAL))
TAKEN  := $(sort $(foreach goal,$(GOALS),$(takes.$(goal))))
GIVEN  := $(foreach name,$(.VARIABLES),$(if $(filter command,$(origin $(name))),$(name)))
nearest = $(shell $(PYTHON) -c 'import difflib, sys; print(*difflib.get_close_matches(sys.argv[1].upper(), sys.argv[2:], 1, 0))' '$(1)' $(KNOWN))
$(foreach name,$(filter-out $(KNOWN),$(GIVEN)),$(error there is no setting $(name), the nearest is $(call nearest,$(name)); `make help` lists all))
$(foreach name,$(filter-out $(TAKEN) $(ALWAYS),$(GIVEN)),$(error $(name) has no effect on `make $(GOALS)`, which takes $(or $(TAKEN),no settings)))
$(if $(filter MODEL,$(GIVEN)),$(if $(SPEC),$(error MODEL and SPEC both name the network: give one of them)))

key = $(firstword $(shell cat $(1) | sha256sum | cut -c1-12))
OF_MAIN := requirements/main.lock requirements/torch.in pyproject.toml
OF_SIGN := requirements/release.lock
OF_DOCS := requirements/docs.lock
OF_RAY  := requirements/cluster.lock
OF_TEST := requirements/test.lock requirements/references.lock requirements/release.lock
MAIN    := .venv/.installed-$(call key,$(OF_MAIN))
SIGN    := .venv/.installed-release-$(call key,$(OF_MAIN) $(OF_SIGN))
DOCS    := .venv/.installed-docs-$(call key,$(OF_MAIN) $(OF_DOCS))
RAY     := .venv/.installed-cluster-$(call key,$(OF_MAIN) $(OF_RAY))
TEST    := .venv/.installed-test-$(call key,$(OF_MAIN) $(OF_TEST))
ONNX2TF := .venv-onnx2tf/.installed-$(call key,requirements/onnx2tf.lock)

BIN    := .venv/bin
FQSS   := $(BIN)/python -m fqss
SETTINGS = --model '$(MODEL)' --target '$(TARGET)' --profile '$(PROFILE)' --data '$(DATA)' \
           --checkpoint '$(CHECKPOINT)' --spec '$(SPEC)' --segment '$(SEGMENT)' --out '$(OUT)'

PYTHONS := 3.11 3.12 3.13
WRONG_PYTHON := Python 3.11, 3.12 or 3.13 is needed: install one (Debian, Ubuntu: python3 and python3-venv) or name one with PYTHON=
WRONG_FOR_ONNX2TF := onnx2tf and what it pins need Python 3.11: install it, or name one once by make onnx2tf PYTHON=; all but PROFILE=full, make bench and the targets tflite-float32 and tflite-int8-ptq do without

# onnx2tf and tensorflow are installed only for what needs them, and the emulated aarch64 runtimes too
OF_ONNX2TF := tflite-float32 tflite-int8-ptq onnx2tf-float32 onnx2tf-int8
OWN_TARGET := $(filter %.yaml %.yml,$(TARGET))
TOLD := $(TARGET) $(if $(OWN_TARGET),$(shell cat '$(OWN_TARGET)'))
NEEDED := $(MAIN) $(if $(or $(filter full,$(PROFILE)),$(filter $(OF_ONNX2TF),$(TOLD))),$(ONNX2TF)) $(if $(filter tflite-int8-arm64,$(TOLD)),arm64)

BENCH := tflite-float32 tflite-int8 tflite-int8-ptq  # the first is the baseline

help: ## this list
	@echo "make deploy MODEL=convtasnet TARGET=tflite-int8"
	@echo
	@echo "settings (now):"
	@echo "  MODEL=$(MODEL)         $(notdir $(basename $(wildcard export_specs/models/*.yaml)))"
	@echo "  TARGET=$(TARGET)       $(notdir $(basename $(wildcard export_specs/targets/*.yaml))), or your own (YAML)"
	@echo "  PROFILE=$(PROFILE)            shipped (the weights that ship; the default) ptq (no training) quick (minutes of training; the default with your own DATA or CHECKPOINT) full (hours)"
	@echo "  DATA=$(DATA)                    embedded debian-voices librimix:DIR librimix-both:DIR folder:DIR or a list of them (YAML); of music embedded-stems rendered-stems musdb18hq:DIR"
	@echo "  CHECKPOINT=$(CHECKPOINT)              your own float weights: .safetensors, or a torch file"
	@echo "  SPEC=$(SPEC)                    your own model spec (YAML), instead of MODEL"
	@echo "  SEGMENT=$(SEGMENT)                 seconds of a segment, by the memory that the device has; the model's own by default"
	@echo "  OUT=$(OUT)                     folder of the result; dist/<model>-<target> by default"
	@echo "  KEY=$(KEY)                     of release: private key (PEM) that signs; without one the bundle says that it is not signed"
	@echo "  CARD=$(CARD)                    of release: your own model card, for weights of your own"
	@echo "  CPU=$(CPU)                  of emulate: cortex-m55 cortex-m4; or all: these and this machine by gcc and clang. of emulate-arm64: cortex-a72 cortex-a76 all"
	@echo "  FILES=$(FILES)                   of mutate: files to put faults into"
	@echo "  DIGITS=$(DIGITS)                  of mutate: a sample, of the faults whose number ends with one of the digits"
	@echo "  MIXTURES=$(MIXTURES)                of evaluate: so many mixtures, pairs or tracks of the test set; all by default. of study: its own number by default. of emulate-arm64: 4 by default"
	@echo "  NAME=$(NAME)                    of study: $(notdir $(basename $(wildcard export_specs/studies/*.yaml))), or your own (YAML)"
	@echo "  STEPS=$(STEPS) SEEDS=$(SEEDS) ARMS=$(ARMS)     of study: training steps and runs of every arm, and which arms (with commas); the study's own by default"
	@echo "  PROCESSES=$(PROCESSES)               of study: runs at a time, one thread each; one for each processor by default"
	@echo "  CLUSTER=$(CLUSTER)                 of study and evaluate: address of a Ray cluster whose computers do the work (docs/cluster.md); this computer by default"
	@echo "  BASE=$(BASE)                of replay: the commit whose files are the right ones"
	@echo
	@if test -x $(BIN)/python; then $(FQSS) models; echo; fi
	@echo "targets:"
	@sed -n 's/^\([a-z0-9 -]*\):.*## \(.*\)/  \1|\2/p' Makefile | while IFS='|' read -r name text; do printf '%-17s %s\n' "$$name" "$$text"; done

deploy: $(NEEDED) ## everything: data, quantization, export, conversion, parity report; the result lies in dist/
	@$(FQSS) deploy $(SETTINGS)

release: OUT := $(or $(OUT),dist/$(basename $(notdir $(or $(SPEC),$(MODEL))))-$(basename $(notdir $(TARGET)))$(if $(SEGMENT),-$(SEGMENT)s))
release: $(NEEDED) $(if $(KEY),$(SIGN)) ## deploy, and make a bundle to publish in release/: card, licences, bill of materials, provenance, signature
	@$(FQSS) deploy $(SETTINGS)
	@$(FQSS) release '$(OUT)' --key '$(KEY)' --card '$(CARD)'

train: $(MAIN) ## train the float network of MODEL or SPEC, from CHECKPOINT on if given (hours; goes on where it stopped)
	@$(FQSS) deploy train $(SETTINGS)

qat: $(MAIN) ## quantization-aware training by PROFILE
	@$(FQSS) deploy qat $(SETTINGS)

export: $(MAIN) ## the QDQ ONNX file
	@$(FQSS) deploy export $(SETTINGS)

convert: $(NEEDED) ## the TFLite file
	@$(FQSS) deploy convert $(SETTINGS)

package: $(NEEDED) ## the TFLite file as code for a device: a C99 package (TARGET=c-int8), or what firmware with TFLite Micro compiles
	@$(FQSS) deploy package $(SETTINGS)

emulate: $(NEEDED) ## build that package and run its golden clips on an emulated microcontroller
	@folder=$$($(FQSS) deploy package $(SETTINGS) | tee /dev/stderr | tail -n 1); \
	  test -f "$$folder/device/Makefile" || { echo "error: the package of TARGET=$(TARGET) is not built here; TARGET=c-int8 is" >&2; exit 1; }; \
	  $(MAKE) --no-print-directory -s -C "$$folder/device" $(if $(filter all,$(CPU)),everywhere,emulate CPU='$(CPU)') \
	  BUILD='$(CURDIR)/build/emulated/'"$$(basename "$$folder")"

emulate-arm64: $(NEEDED) arm64 ## run the files on emulated aarch64 processors, as of a phone or a Raspberry Pi, and compare with this computer
	@tflite=$$($(FQSS) deploy convert $(SETTINGS) | sed -n 1p); onnx=$$($(FQSS) deploy export $(SETTINGS) | sed -n 1p); \
	  sets=$$($(FQSS) deploy evaluation $(SETTINGS)); \
	  $(BIN)/python -m validation.arm64 "$$tflite/model.tflite" "$$onnx/model.qdq.onnx" --clips "$$sets/test" --cpu '$(CPU)' \
	  $(if $(MIXTURES),--mixtures '$(MIXTURES)')

arm64: $(MAIN) ## what emulate-arm64 and TARGET=tflite-int8-arm64 run: aarch64 Python and runtimes in .cache/arm64 (needs the network once)
	@$(BIN)/python -m edge_runtime.arm64_prefix

validate report: $(NEEDED) ## the parity report, without packaging
	@$(FQSS) deploy validate $(SETTINGS)

ship: $(MAIN) ## write the files that ship of MODEL, from the weights that ship: edge_runtime/models
	@mkdir -p edge_runtime/models
	@for folder in $$($(FQSS) deploy convert $(SETTINGS) --profile shipped); do for file in $$folder/model*.tflite; do \
	  install -m 644 "$$file" "edge_runtime/models/$(MODEL)$$(basename "$$file" | sed s/^model//)"; done; done

# what ships needs no training on the data that it is evaluated with
evaluate: PROFILE = $(if $(CHECKPOINT)$(SPEC),ptq,shipped)
evaluate: $(NEEDED) $(if $(CLUSTER),$(RAY)) ## float network and file on the whole test set of DATA: every mixture in full length, pairs at -10, 0 and 10 dB, or whole tracks
	@float=$$($(FQSS) deploy float $(SETTINGS)); int8=$$($(FQSS) deploy convert $(SETTINGS) | sed -n 1p); \
	  $(FQSS) evaluate $(if $(DATA),--data '$(DATA)') $(if $(MIXTURES),--mixtures $(MIXTURES)) $(if $(CLUSTER),--cluster '$(CLUSTER)') \
	  --out '$(or $(OUT),build/evaluate/$(or $(basename $(notdir $(SPEC))),$(MODEL))-$(basename $(notdir $(TARGET))))' \
	  float="$$float/float.onnx" int8="$$int8/model.tflite"

study: $(MAIN) $(if $(CLUSTER),$(RAY)) ## networks that differ in one thing each, at equal budget: table, plot, JSON and page of NAME in docs/studies (goes on where it stopped)
	@test -n '$(NAME)' || { echo "error: NAME= names the study; \`make help\` lists all" >&2; exit 1; }
	@$(FQSS) study '$(NAME)' --model '$(if $(SPEC),,$(MODEL))' --spec '$(SPEC)' --data '$(DATA)' --checkpoint '$(CHECKPOINT)' --arms '$(ARMS)' \
	  $(if $(STEPS),--steps '$(STEPS)') $(if $(SEEDS),--seeds '$(SEEDS)') $(if $(MIXTURES),--mixtures '$(MIXTURES)') \
	  $(if $(PROCESSES),--processes '$(PROCESSES)') $(if $(CLUSTER),--cluster '$(CLUSTER)') $(if $(OUT),--out '$(OUT)')

# its speed does not depend on what the weights are
bench: PROFILE = ptq
bench: $(MAIN) $(ONNX2TF) ## time and memory: int8 beside float32 and post-training TFLite, QAT step beside float step
	@for target in $(BENCH); do $(FQSS) deploy convert $(SETTINGS) --target $$target; done
	@$(FQSS) bench --out build/bench.json \
	  $(foreach target,$(BENCH),"$(target)=$$($(FQSS) deploy convert $(SETTINGS) --target $(target) | tail -n 1)/model.tflite")
	@$(BIN)/python -m pipeline.training.step_time --model '$(or $(SPEC),$(MODEL))' --out build/step-time.json

models doctor: $(MAIN) ## the networks with size, weights and figures; what is installed and what each target lacks
	@$(FQSS) $@

docs: $(DOCS) ## these documents as a site in build/docs/html; a link that leads nowhere is an error
	@$(BIN)/python -m sphinx -W --keep-going -q -d build/docs/pages docs build/docs/html
	@echo build/docs/html/index.html

lint: $(TEST) ## ruff, mypy and the import rules
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

test: $(TEST) ## the fast tests
	@$(BIN)/pytest -n 2

test-slow: $(TEST) $(RAY) ## the tests that take minutes
	@$(BIN)/pytest -m slow

replay: $(TEST) ## a refactoring's proof: the files of all edge networks, this checkout's beside those of commit BASE, byte by byte
	@$(BIN)/python -m tests.replay compare '$(BASE)'

mutate: $(TEST) ## how many small faults in stages, training and judge the fast tests notice (hours; FILES and DIGITS take fewer)
	@nice $(BIN)/python -m tests.mutate $(FILES) $(if $(DIGITS),--digits '$(DIGITS)')

# torch is in no lock: which build of it pip finds differs by machine, and with it the digest. What lies in main.lock is left out of those installed beside it.
COMPILE = $(BIN)/uv pip compile --quiet --no-python-downloads --python-version 3.11 --generate-hashes --no-annotate --custom-compile-command 'make lock'
WITHOUT = --no-emit-package torch
BESIDE  = $(WITHOUT) $$(sed -n 's/^\([^ =]*\)==.*/--no-emit-package \1/p' requirements/main.lock) -c requirements/torch.in -c requirements/main.lock

lock: $(MAIN) ## resolve requirements/*.in for every Python that is served (needs the network); pins stay that still fit, a line taken out is chosen anew
	@$(BIN)/python -m pip install --quiet uv==0.13.9
	@$(COMPILE) --universal $(WITHOUT) requirements/torch.in requirements/main.in -o requirements/main.lock
	@$(COMPILE) --universal -c requirements/main.lock requirements/runtime.in requirements/judge.in -o requirements/judge.lock
	@for name in test train; do $(COMPILE) --universal $(BESIDE) requirements/$$name.in -o requirements/$$name.lock; done
	@for name in release docs cluster; do $(COMPILE) --universal $(BESIDE) -c requirements/test.lock requirements/$$name.in -o requirements/$$name.lock; done
	@$(COMPILE) --universal --no-deps requirements/references.in -o requirements/references.lock
	@$(COMPILE) requirements/onnx2tf.in -o requirements/onnx2tf.lock

onnx2tf: $(ONNX2TF) ## the environment of onnx2tf and tensorflow

clean: ## remove results (build, dist), not the environments
	rm -rf build dist release

# make_venv: a folder, the Python that makes it, the versions that may, what to say of others
define make_venv
	@test -n '$(2)' || { echo 'error: no python3 found; $(4)' >&2; exit 1; }
	@'$(2)' -c 'import sys; sys.exit("%d.%d" % sys.version_info[:2] not in sys.argv[1:])' $(3) \
	  || { echo "error: $(2) is $$('$(2)' --version 2>&1 | head -n 1); $(4)" >&2; exit 1; }
	@test -x $(1)/bin/pip || '$(2)' -m venv $(1)
	@rm -f $(1)/.installed*
endef

# the stamps' names carry the locks' content, so a fresh checkout's file times reinstall nothing
$(MAIN):
	$(call make_venv,.venv,$(PYTHON),$(PYTHONS),$(WRONG_PYTHON))
	$(BIN)/python -m pip install --quiet --no-deps -r requirements/main.lock
	$(BIN)/python -m pip install --quiet -r requirements/torch.in
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation -e .
	@touch $@

$(TEST): | $(MAIN)
	$(BIN)/python -m pip install --quiet --no-deps $(OF_TEST:%=-r %)
	@touch $@

$(DOCS): | $(MAIN)
	$(BIN)/python -m pip install --quiet --no-deps -r $(OF_DOCS)
	@touch $@

$(SIGN): | $(MAIN)
	$(BIN)/python -m pip install --quiet --no-deps -r $(OF_SIGN)
	@touch $@

$(RAY): | $(MAIN)
	$(BIN)/python -m pip install --quiet --no-deps -r $(OF_RAY)
	@touch $@

$(ONNX2TF):
	$(call make_venv,.venv-onnx2tf,$(firstword $(shell command -v python3.11) $(PYTHON)),3.11,$(WRONG_FOR_ONNX2TF))
	.venv-onnx2tf/bin/python -m pip install --quiet --no-deps -r requirements/onnx2tf.lock
	@touch $@
