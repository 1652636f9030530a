# What the shell programs share: steps.
set -uo pipefail
export PSQLRC=/dev/null
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cd "$work" || exit 1

# step NAME COMMAND...: passes when the command does. A failure is told in one line.
step() {
	local name=$1 out
	shift
	if out=$(timeout 60 bash -c '"$@"' step "$@" 2>&1 </dev/null); then
		echo "ok $name"
	else
		echo "not ok $name: $(printf '%s' "$out" | grep -v '^$' | head -3 | tr '\n' ' ' | cut -c1-300)"
	fi
}

# creates NAME COMMAND...: a step that makes objects, which tenants may not.
creates() {
	if [ "$CLIENT_LOGIN" = tenant ]; then echo "skip $1: creates objects"; else step "$@"; fi
}

q() { psql -X -q -At -v ON_ERROR_STOP=1 "$@"; }

# prints WANT COMMAND...: the command succeeds and prints just that.
prints() {
	local want=$1 got
	shift
	got=$("$@") || { echo "exit status $?: $got"; return 1; }
	[ "$got" = "$want" ] || { echo "got ${got:0:200}, want $want"; return 1; }
}

# fed TEXT COMMAND...: the command reads the text.
fed() {
	local text=$1
	shift
	printf '%s' "$text" | "$@"
}

export -f q prints fed
