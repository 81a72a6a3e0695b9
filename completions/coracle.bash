
_clap_complete_coracle() {
    local IFS=$'\013'
    local rest=${COMP_LINE:0:COMP_POINT} word i last=-1 given words=()
    for ((i = 0; i <= COMP_CWORD; i++)); do
        word=${rest#"${rest%%[![:space:]]*}"}
        (( i == COMP_CWORD )) || word=${COMP_WORDS[i]}
        if (( i > 0 )) && [[ $rest == [![:space:]]* ]] && [[ $word == [:=]* || ${words[last]} == *[:=] ]]; then
            given=${words[last]}
            [[ $word != [:=]* ]] || given+=${word:0:1}
            words[last]+=$word
        else
            given=
            words[++last]=$word
        fi
        rest=${rest#"${rest%%[![:space:]]*}"}
        rest=${rest#"$word"}
    done
    local _CLAP_COMPLETE_INDEX=$last
    local _CLAP_COMPLETE_COMP_TYPE=${COMP_TYPE}
    if compopt +o nospace 2> /dev/null; then
        local _CLAP_COMPLETE_SPACE=false
    else
        local _CLAP_COMPLETE_SPACE=true
    fi
    COMPREPLY=( $( \
        _CLAP_IFS="$IFS" \
        _CLAP_COMPLETE_INDEX="$_CLAP_COMPLETE_INDEX" \
        _CLAP_COMPLETE_COMP_TYPE="$_CLAP_COMPLETE_COMP_TYPE" \
        _CLAP_COMPLETE_SPACE="$_CLAP_COMPLETE_SPACE" \
        CORACLE_COMPLETE="bash" \
        "coracle" -- "${words[@]}" \
    ) )
    if [[ $? != 0 ]]; then
        unset COMPREPLY
    elif [[ $_CLAP_COMPLETE_SPACE == false ]] && [[ "${COMPREPLY-}" =~ [=/:]$ ]]; then
        compopt -o nospace
    fi
    [[ -z $given ]] || COMPREPLY=("${COMPREPLY[@]#"$given"}")
}
if [[ "${BASH_VERSINFO[0]}" -eq 4 && "${BASH_VERSINFO[1]}" -ge 4 || "${BASH_VERSINFO[0]}" -gt 4 ]]; then
    complete -o nospace -o bashdefault -o nosort -F _clap_complete_coracle coracle
else
    complete -o nospace -o bashdefault -F _clap_complete_coracle coracle
fi

