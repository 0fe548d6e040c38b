# bash completion for poolscope(8). tests/unit/test_options.c holds it against the option table.

# The lines on stdin that begin with the word, quoted. A process names itself as it likes: compgen -W would run what is in
# `$(...)`, and readline's own quoting leaves some of it.
_poolscope_lines()
{
	local line quoted
	compopt +o filenames 2>/dev/null
	while IFS= read -r line; do
		[[ $line == "${1//\\/}"* ]] && printf -v quoted %q "$line" && COMPREPLY+=("$quoted")
	done
}

_poolscope()
{
	local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]} subcommand='' i
	local subcommands='top dump serve check doctor help version'
	local watch='--pid --name --unit --cgroup --container --follow-forks --limit --config --config.file
		--interval --cpu-budget --variant --ring --max-processes --procfs --log-level --help --version'

	# Readline breaks --variant=fexit at its `=`.
	if [[ $current == = ]]; then
		current=''
	elif [[ $previous == = ]]; then
		previous=${COMP_WORDS[COMP_CWORD - 2]}
	fi
	COMPREPLY=()
	for ((i = 1; i < COMP_CWORD; i++)); do
		# Behind `--` stands a command of its own.
		[[ ${COMP_WORDS[i]} == -- ]] && return
		[[ -z $subcommand && " $subcommands " == *" ${COMP_WORDS[i]} "* ]] && subcommand=${COMP_WORDS[i]}
	done
	case $previous in
	-p | --pid) _poolscope_lines "$current" < <(cd /proc && printf '%s\n' [0-9]*); return ;;
	-n | --name) _poolscope_lines "$current" < <(sort -u /proc/[0-9]*/comm 2>/dev/null); return ;;
	--unit) _poolscope_lines "$current" < <(systemctl list-units --plain --no-legend --type=service 2>/dev/null |
		cut -d ' ' -f 1); return ;;
	-u | --user) mapfile -t COMPREPLY < <(compgen -u -- "$current"); return ;;
	-c | --config | --config.file | -o | --output) mapfile -t COMPREPLY < <(compgen -f -- "$current"); return ;;
	--cgroup | --procfs) mapfile -t COMPREPLY < <(compgen -d -- "$current"); return ;;
	--variant) mapfile -t COMPREPLY < <(compgen -W 'fexit tracepoint kretprobe' -- "$current"); return ;;
	--log-level) mapfile -t COMPREPLY < <(compgen -W 'debug info warn error' -- "$current"); return ;;
	--container | --limit | --listen | --web.listen-address | --after | -i | --interval | --count | --cpu-budget | --ring | --max-processes)
		return ;;
	esac
	case $subcommand in
	top) watch+=' --user --count --fail-on-over --no-color' ;;
	dump) watch+=' --json --after --output --fail-on-over --no-color' ;;
	serve) watch+=' --listen --web.listen-address --mapped --faults' ;;
	check) watch='--config --config.file --procfs --log-level --help --version'
		[[ $current == -* ]] || { mapfile -t COMPREPLY < <(compgen -f -- "$current"); return; } ;;
	doctor) watch='--no-color --variant --procfs --log-level --help --version' ;;
	help) watch=$subcommands ;;
	version) watch='--help' ;;
	*) watch="$subcommands --help --version" ;;
	esac
	mapfile -t COMPREPLY < <(compgen -W "$watch" -- "$current")
}
complete -o filenames -o bashdefault -F _poolscope poolscope
