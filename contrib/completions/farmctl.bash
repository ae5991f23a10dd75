# bash completion for farmctl; install as /usr/share/bash-completion/completions/farmctl
# shellcheck shell=bash disable=SC2207     # words of COMPREPLY have no blanks

# _farmctl_platforms WORD: what may stand there; a list goes on behind its last comma
_farmctl_platforms ()
{
    local before=""
    [[ $1 == *,* ]] && before=${1%,*},
    compgen -P "$before" -W "linux/amd64 linux/arm64 linux/arm/v7 linux/arm/v6 linux/386 linux/riscv64" -- "${1##*,}"
}

_farmctl_builds ()
{
    farmctl ls --limit 50 2>/dev/null | awk 'NR > 1 { print $1 }'
}

_farmctl_workers ()
{
    farmctl worker ls 2>/dev/null | awk 'NR > 1 { print $1 }'
}

_farmctl_users ()
{
    farmctl user ls 2>/dev/null | awk 'NR > 1 { print $1 }'
}

_farmctl_schedules ()
{
    farmctl schedule ls 2>/dev/null | awk 'NR > 1 { print $1 }'
}

_farmctl_news ()
{
    farmctl news ls 2>/dev/null | awk 'NR > 1 { print $1 }'
}

_farmctl ()
{
    local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]}
    local verb="" word options="" at
    for ((at = 1; at < COMP_CWORD; at++)); do
        word=${COMP_WORDS[at]}
        if [[ $word != -* ]]; then verb=$word; break; fi
    done
    COMPREPLY=()
    if [[ $current == "=" ]]; then              # bash makes three words of --option=VALUE
        current=""
    elif [[ $previous == "=" ]]; then
        previous=${COMP_WORDS[COMP_CWORD-2]}
    fi
    if [[ -z $verb ]]; then
        COMPREPLY=($(compgen -W "submit ls inspect logs wait cancel retry worker user schedule news audit du prune imagetools join version help" -- "$current"))
        return
    fi
    case $previous in
        --platform|--required-platform)
            COMPREPLY=($(_farmctl_platforms "$current"))
            return ;;
        --emulation) COMPREPLY=($(compgen -W "deny allow" -- "$current")); return ;;
        --verify) COMPREPLY=($(compgen -W "quick layers deep" -- "$current")); return ;;
        --network) COMPREPLY=($(compgen -W "default none host" -- "$current")); return ;;
        --priority) COMPREPLY=($(compgen -W "low normal high" -- "$current")); return ;;
        --secret-file) compopt -o filenames; COMPREPLY=($(compgen -f -- "$current")); return ;;
        --branch) return ;;
        -f|--file) [[ $verb == submit || $verb == schedule ]] && { compopt -o filenames; COMPREPLY=($(compgen -f -- "$current")); return; } ;;
        -t|--tag) [[ $verb == submit || $verb == schedule ]] && return ;;
        --build-arg|--secret|--ssh|--label|--target|--timeout|--follow-timeout|--memory|--cpus|--queue-timeout|--require|--comment|--limit|--name|--expire|--since|--repository|--max-queued|--max-running) return ;;
        --tz) COMPREPLY=($(compgen -W "UTC $(awk '!/^#/ { print $3 }' /usr/share/zoneinfo/zone.tab 2>/dev/null)" -- "$current")); return ;;
        --catch-up) COMPREPLY=($(compgen -W "none last" -- "$current")); return ;;
        --overlap) COMPREPLY=($(compgen -W "skip queue cancel-old" -- "$current")); return ;;
        --cron|--count|--mail|--hook) return ;;
        --on) COMPREPLY=($(compgen -W "failed fixed succeeded missed lost quarantined" -- "$current")); return ;;
        --state) COMPREPLY=($(compgen -W "waiting sent given-up" -- "$current")); return ;;
        --schedule) COMPREPLY=($(compgen -W "$(_farmctl_schedules)" -- "$current")); return ;;
        --role) COMPREPLY=($(compgen -W "admin submitter viewer" -- "$current")); return ;;
    esac
    case $verb in
        submit) options="--platform --tag --file --build-arg --secret --ssh --label --target --network --no-cache --no-result-cache --pull --whole-context --push --emulation --priority --require --required-platform --keep-going --fail-fast --supersede --verify --cross-check --queue-timeout --quiet
                         --detach --cancel-on-interrupt --memory --cpus --timeout --follow-timeout" ;;
        ls) options="--limit --all" ;;
        logs) options="--follow --timestamps --platform" ;;
        wait) options="--quiet --ssh --cancel-on-interrupt --timeout" ;;
        imagetools) options="--raw" ;;
        join) options="--name" ;;
        inspect) options="--events" ;;
        prune) options="--dry-run" ;;
        retry) options="--failed-only --secret --ssh --quiet --detach --cancel-on-interrupt --follow-timeout" ;;
        worker) options="--comment --wait --expire" ;;
        schedule) options="--cron --tz --catch-up --overlap --if-changed --mail --hook --replace --branch --secret-file --remove --count --platform --tag --file --build-arg --label --target --no-cache --no-result-cache --pull --emulation
                           --priority --require --required-platform --keep-going --supersede --verify --cross-check --queue-timeout --memory --cpus --timeout" ;;
        news) options="--mail --hook --on --schedule --farm --replace --state --limit" ;;
        audit) options="--limit --since" ;;
        user) options="--role --expire --repository --max-queued --max-running" ;;
    esac
    if [[ $current == -* ]]; then
        COMPREPLY=($(compgen -W "$options --json --help" -- "$current"))
        return
    fi
    case $verb in
        submit) compopt -o filenames; COMPREPLY=($(compgen -d -- "$current")) ;;
        inspect|logs|wait|cancel|retry) COMPREPLY=($(compgen -W "$(_farmctl_builds)" -- "$current")) ;;
        worker)
            if [[ $previous == worker ]]; then
                COMPREPLY=($(compgen -W "ls inspect drain pause resume label forget invite revoke" -- "$current"))
            else
                COMPREPLY=($(compgen -W "$(_farmctl_workers)" -- "$current"))
            fi ;;
        user)
            case $previous in
                user) COMPREPLY=($(compgen -W "add ls rm role limit" -- "$current")) ;;
                rm|role|limit) COMPREPLY=($(compgen -W "$(_farmctl_users)" -- "$current")) ;;
                *) [[ ${COMP_WORDS[COMP_CWORD-2]} == role ]] && COMPREPLY=($(compgen -W "admin submitter viewer" -- "$current")) ;;
            esac ;;
        schedule)
            case $previous in
                schedule) COMPREPLY=($(compgen -W "add ls inspect next run pause resume rm hook" -- "$current")) ;;
                inspect|next|run|pause|resume|rm|hook) COMPREPLY=($(compgen -W "$(_farmctl_schedules)" -- "$current")) ;;
                add) ;;
                *) compopt -o filenames; COMPREPLY=($(compgen -d -- "$current")) ;;
            esac ;;
        news)
            case $previous in
                news) COMPREPLY=($(compgen -W "add ls rm test outbox retry" -- "$current")) ;;
                rm|test) COMPREPLY=($(compgen -W "$(_farmctl_news)" -- "$current")) ;;
                retry) COMPREPLY=($(compgen -W "all" -- "$current")) ;;
            esac ;;
        audit) COMPREPLY=($(compgen -W "show verify" -- "$current")) ;;
        imagetools) COMPREPLY=($(compgen -W "inspect" -- "$current")) ;;
        help) COMPREPLY=($(compgen -W "submit ls inspect logs wait cancel retry worker user schedule news audit du prune imagetools join version" -- "$current")) ;;
    esac
}

complete -F _farmctl farmctl
