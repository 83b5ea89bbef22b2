/* `penstock completion bash|zsh`: a script that knows nouns, verbs and flags from the tables. */
#include <stdio.h>
#include <string.h>

#include "complaint.h"
#include "exit_code.h"
#include "tables.h"

static void top_words(FILE *to)
{
    size_t n;
    const command *const *all = commands_all(&n);
    const char *noun = "";
    for (size_t i = 0; i < n; i++) {
        const char *word = all[i]->noun ? all[i]->noun : all[i]->verb;
        if (strcmp(word, noun) != 0)
            fprintf(to, "%s ", word);
        noun = word;
    }
}

static void verb_cases(FILE *to)
{
    size_t n;
    const command *const *all = commands_all(&n);
    for (size_t i = 0; i < n; i++) {
        if (!all[i]->noun)
            continue;
        if (i == 0 || !all[i - 1]->noun || strcmp(all[i - 1]->noun, all[i]->noun) != 0)
            fprintf(to, "        %s) words=\"", all[i]->noun);
        fprintf(to, "%s ", all[i]->verb);
        if (i + 1 == n || !all[i + 1]->noun || strcmp(all[i + 1]->noun, all[i]->noun) != 0)
            fputs("\" ;;\n", to);
    }
}

static void flag_words(FILE *to, const flag *f)
{
    for (; f && f->name; f++)
        fprintf(to, "--%s ", f->name);
}

static void flag_cases(FILE *to)
{
    size_t n;
    const command *const *all = commands_all(&n);
    for (size_t i = 0; i < n; i++) {
        if (!all[i]->flags)
            continue;
        fprintf(to, "        \"%s%s%s\") words+=\"", all[i]->noun ? all[i]->noun : "",
                all[i]->noun ? " " : "", all[i]->verb);
        flag_words(to, all[i]->flags);
        fputs("\" ;;\n", to);
    }
}

static void bash_print(FILE *to)
{
    fputs("_penstock() {\n    local word=${COMP_WORDS[COMP_CWORD]} noun=${COMP_WORDS[1]} words=\"\"\n"
          "    if [[ $word == -* ]]; then\n        words=\"",
          to);
    flag_words(to, global_flags);
    fputs("\"\n        case \"$noun\" in\n", to);
    flag_cases(to);
    fputs("        esac\n        case \"$noun ${COMP_WORDS[2]}\" in\n", to);
    flag_cases(to);
    fputs("        esac\n    elif [ \"$COMP_CWORD\" -eq 1 ]; then\n        words=\"", to);
    top_words(to);
    fputs("\"\n    elif [ \"$COMP_CWORD\" -eq 2 ]; then\n        case \"$noun\" in\n", to);
    verb_cases(to);
    fputs("        esac\n    fi\n    mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$word\")\n"
          "    [ ${#COMPREPLY[@]} -gt 0 ] || mapfile -t COMPREPLY < <(compgen -f -- \"$word\")\n}\n"
          "complete -o filenames -F _penstock penstock\n",
          to);
}

static int run_completion(invocation *inv)
{
    const char *shell = argument(inv, 0);
    if (strcmp(shell, "zsh") == 0)
        puts("autoload -U +X bashcompinit && bashcompinit");
    if (strcmp(shell, "zsh") == 0 || strcmp(shell, "bash") == 0) {
        bash_print(stdout);
        return EXIT_DONE;
    }
    status st;
    status_set(&st, STATUS_INVALID, "completion is there for bash and zsh, not `%s`", shell);
    return complain_usage(&st);
}

const command completion_commands[] = {
    {NULL, "completion", "bash|zsh", 1, 1, NULL, "prints a completion script for the shell",
     "completion bash > ~/.local/share/bash-completion/completions/penstock", run_completion, NULL},
    {0},
};
