#!/usr/bin/env bash
# Apache Kafka's jars for the tests, 54 MB from Maven Central, as the pom beside this file pins them.
set -euo pipefail

target=${1:?"usage: tests/brokers/jars.sh FOLDER, such as .venv/share/kafka"}
for tool in java mvn; do
    if ! command -v "$tool" >/dev/null; then
        echo "no '$tool' here; Apache Kafka needs Java 17 or newer and Maven (Debian: default-jre-headless maven)" >&2
        exit 1
    fi
done
pom=$(dirname "$0")/pom.xml
output=$(mktemp)
trap 'rm -rf "$output" "$target.new"' EXIT
rm -rf "$target.new"
if ! mvn -q -B -f "$pom" dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory="$(realpath -m "$target.new")" >"$output" 2>&1; then
    cat "$output" >&2
    echo "Maven could not bring what $pom names (see above); is Maven Central, or a mirror in ~/.m2/settings.xml, reachable?" >&2
    exit 1
fi
cp "$pom" "$target.new/"
rm -rf "$target"
mv "$target.new" "$target"
