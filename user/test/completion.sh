#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# What zcpctl completion prints, in each of the shells it is for: by what they
# offer as candidates, and on a terminal by what a key does. With made-up jobs
# (fake.c).
set -u

here=$(cd "$(dirname "$0")" && pwd)
user=$(dirname "$here")
fake=$user/$OBJ/test/zcpctl
# Debian's, which has Debian's modules.
python=/usr/bin/python3
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
. "$here/tap.sh"
export LC_ALL=C.UTF-8 HOME="$tmp" PATH="$user/$OBJ/test:$PATH" TERM=linux
tab=$(printf '\t')
kill_line=$(printf '\025')

# Each function NAME_completes WORD... writes to the file out what that shell would
# make of the last word, sorted, one per line.
bash_completes() {
	bash -c '
		. "$1"
		shift
		COMP_WORDS=("$@")
		COMP_CWORD=$(($# - 1))
		_zcpctl 2>/dev/null
		printf "%s\n" "${COMPREPLY[@]}"' - "$tmp/bash" "$@" | sort >"$tmp/out"
}

# By the file that is found where zcpctl completion says to put it.
fish_completes() {
	fish --no-config -c "set -g fish_complete_path $tmp/.config/fish/completions
		complete -C '$*'" 2>"$tmp/err" | cut -f 1 | sort >"$tmp/out"
	[ ! -s "$tmp/err" ]
}

# zsh completes on a terminal only. All lines are typed there beforehand, and its
# compadd notes the candidates of each.
zsh_completes() {
	sed -n "/^== $*\$/,/^== /p" "$tmp/zsh.said" | sed 1d | grep -v '^== ' | sort >"$tmp/out"
	grep -qxF -- "== $*" "$tmp/zsh.said"
}

on_terminal() {
	$python "$here/terminal.py" "$@" >"$tmp/out" 2>"$tmp/err"
}

# The options of a verb, from its help; bench has those of another program.
options_of() {
	"$fake" help "$1" | grep -oE '^  (-h, )?-[^ ]*' | tr -d ' ,' | sed 's/^-h--/-h\n--/' | sort
}
verbs=$("$fake" help | sed -n 's/^  \([a-z]*\) .*/\1/p')

# What is typed: each line with what it is to give, or with nothing.
cases='zcpctl can|cancel
zcpctl --v|--version
zcpctl list --state b|blocked
zcpctl send --mode |auto copy zerocopy
zcpctl help st|stats
zcpctl completion z|zsh
zcpctl cancel |12 7 8
zcpctl show 1|12
zcpctl send --rate |
zcpctl recv -o some|some file
zcpctl send some|some file'

# The words of a line, of which the last may be empty: split SHELL LINE
split() {
	shell=$1
	line=$2
	set -f
	# shellcheck disable=SC2086 # its words
	set -- $line
	set +f
	case $line in
	*' ') set -- "$@" '' ;;
	esac
	"${shell}_completes" "$@"
}

# Whether a shell offers what it should: agrees SHELL
agrees() {
	good=0
	cd "$tmp/files" || return 1
	while IFS='|' read -r line want; do
		case $1 in
		bash) split bash "$line" ;;
		*) "$1_completes" "$line" ;;
		esac || good=1
		if [ "$want" = "some file" ]; then
			# Quoted, as this shell does.
			have=$(sed 's/\\//g' "$tmp/out")
		else
			have=$(tr '\n' ' ' <"$tmp/out" | sed 's/ *$//')
		fi
		if [ "$have" != "$want" ]; then
			echo "# $1: \"$line\" gives \"$have\", not \"$want\""
			good=1
		fi
	done <<-END
		$cases
	END
	for verb in $verbs; do
		options_of "$verb" >"$tmp/want"
		case $1 in
		bash) split bash "zcpctl $verb -" ;;
		*) "$1_completes" "zcpctl $verb -" ;;
		esac || good=1
		[ "$verb" = bench ] || cmp -s "$tmp/out" "$tmp/want" || {
			echo "# $1: zcpctl $verb has other options"
			good=1
		}
	done
	case $1 in
	bash) split bash "zcpctl " ;;
	*) "$1_completes" "zcpctl " ;;
	esac
	for verb in $verbs; do
		grep -qxF "$verb" "$tmp/out" || {
			echo "# $1: zcpctl $verb is not offered"
			good=1
		}
	done
	[ "$(echo "$verbs" | wc -l)" -ge 15 ] || good=1
	cd "$here" || return 1
	return $good
}

mkdir -p "$tmp/files" "$tmp/.config/fish/completions" "$tmp/site"
: >"$tmp/files/some file"
"$fake" completion bash >"$tmp/bash"
"$fake" completion zsh >"$tmp/site/_zcpctl"
"$fake" completion fish >"$tmp/.config/fish/completions/zcpctl.fish"

bash -n "$tmp/bash" 2>"$tmp/err" && [ ! -s "$tmp/err" ]
ok $? "bash: it can be read"
agrees bash
ok $? "bash: verbs, options as in the help, values, jobs, files"

if [ -z "$(missing fish)" ]; then
	agrees fish
	ok $? "fish: verbs, options as in the help, values, jobs, files"
else
	skip "fish: verbs, options as in the help, values, jobs, files" "needs fish"
fi

if ! $python -c 'import pyte' 2>/dev/null || [ -n "$(missing zsh)" ]; then
	for name in "zsh: verbs, options as in the help, values, jobs, files" \
		"zsh: on a terminal" "bash: on a terminal"; do
		skip "$name" "needs zsh, python3-pyte"
	done
	echo "1..$count"
	exit
fi

# Completes one file after another on a terminal: typed SHELL COMMAND...
typed() {
	(cd "$tmp/files" && on_terminal --size 100x50 see '^>' \
		key "zcpctl can${tab}1${tab}" see '^> zcpctl cancel 12$' \
		key "${kill_line}zcpctl send --mo${tab}z${tab}so${tab}" \
		see '^> zcpctl send --mode zerocopy some\\ file$' \
		key "${kill_line}zcpctl l${tab}--state ${tab}${tab}" see 'blocked.*queued' \
		key "${kill_line}exit\n" end 0 -- "$@")
}

cat >"$tmp/.bashrc" <<-END
	PS1='> '
	. $tmp/bash
END
typed bash --rcfile "$tmp/.bashrc" -i
ok $? "bash: on a terminal"

# As it is found in fpath.
cat >"$tmp/.zshrc" <<-END
	PROMPT='> '
	fpath=($tmp/site \$fpath)
	autoload -U compinit && compinit -u -D
END
typed zsh -d -i
ok $? "zsh: on a terminal"

# What is put into an array is no candidate yet.
cat >>"$tmp/.zshrc" <<-END
	compadd() {
		local -a found

		if [[ \${argv[1,(i)(-|--)]} != *-[OAD]\\ * ]]; then
			builtin compadd -A found "\$@"
			[[ -z \$found ]] || print -l -- "\$found[@]" >>$tmp/zsh.said
		fi
		builtin compadd "\$@"
	}
	begins() {
		PROMPT="\$1> "
		shift
		print -r -- "== \$*" >>$tmp/zsh.said
	}
END
# Before its new prompt zsh does not read by itself: the terminal would take the keys.
set --
number=0
while IFS= read -r line; do
	number=$((number + 1))
	set -- "$@" key "begins $number '$line'\\n" see "^$number>\$" key "$line$tab$kill_line"
done <<-END
	$(echo "$cases" | cut -d '|' -f 1)
	$(for verb in $verbs; do echo "zcpctl $verb -"; done)
	zcpctl 
END
(cd "$tmp/files" && on_terminal --size 200x100 see '^>' "$@" key 'exit\n' end 0 -- zsh -d -i) &&
	agrees zsh
ok $? "zsh: verbs, options as in the help, values, jobs, files"

echo "1..$count"
