"""`faultline completion`: the script that teaches a shell our commands."""

from enum import StrEnum
from typing import Annotated

import typer


class Shell(StrEnum):
    """Shells that can be taught."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


_BASH = r"""# faultline for bash, to be kept as ~/.local/share/bash-completion/completions/faultline
_faultline() {
    local line
    COMPREPLY=()
    while IFS= read -r line; do
        if [[ $line == ":files" ]]; then
            compopt -o default
            return
        fi
        COMPREPLY+=("${line%%$'\t'*}")
    done < <("${COMP_WORDS[0]}" __complete "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
}
complete -F _faultline faultline
"""

_ZSH = r"""#compdef faultline
# faultline for zsh, to be kept as "${fpath[1]}/_faultline"
_faultline() {
    local line value
    local -a found
    for line in "${(@f)$("${words[1]}" __complete "${(@)words[2,CURRENT]}" 2>/dev/null)}"; do
        [[ $line == ":files" ]] && { _files; return }
        [[ -z $line ]] && continue
        value=${line%%$'\t'*}
        if [[ $line == *$'\t'* ]]; then
            found+=("${value//:/\\:}:${line#*$'\t'}")
        else
            found+=("${value//:/\\:}")
        fi
    done
    (( ${#found} )) && _describe 'faultline' found
}
if [[ ${funcstack[1]} == _faultline ]]; then
    _faultline "$@"
else
    compdef _faultline faultline
fi
"""

_FISH = r"""# faultline for fish, to be kept as ~/.config/fish/completions/faultline.fish
function __faultline_complete
    set -l before (commandline -opc)
    set -l typed (commandline -ct)
    set -l program $before[1]
    set -e before[1]
    for line in ($program __complete $before "$typed" 2>/dev/null)
        if test "$line" = ":files"
            __fish_complete_path "$typed"
        else
            echo $line
        end
    end
end
complete -c faultline -f -a "(__faultline_complete)"
"""

_SCRIPTS = {Shell.BASH: _BASH, Shell.ZSH: _ZSH, Shell.FISH: _FISH}


def completion(
    shell: Annotated[Shell, typer.Argument(metavar="SHELL", help="bash, zsh or fish.", show_default=False)],
) -> None:
    """Print the script that completes commands, options and, where the API answers at once, names and run ids.

    \b
    Examples:
      faultline completion bash > ~/.local/share/bash-completion/completions/faultline
      faultline completion zsh > "${fpath[1]}/_faultline"
      faultline completion fish > ~/.config/fish/completions/faultline.fish
      eval "$(faultline completion bash)"          # for this shell only
    """
    typer.echo(_SCRIPTS[shell], nl=False)
