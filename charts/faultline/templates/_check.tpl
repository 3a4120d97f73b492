{{/* What the schema cannot say: values that do not fit together. Each tells what to set instead. */}}

{{- define "faultline.check" }}
{{- $v := .Values }}
{{- range $name, $engine := dict "database" $v.database "broker" $v.broker }}
{{- if and $engine.bundled.enabled $engine.existingSecret }}
{{- fail (printf "%s: both the bundled one and %s.existingSecret are named. Set %s.bundled.enabled=false to use yours." $name $name $name) }}
{{- else if not (or $engine.bundled.enabled $engine.existingSecret) }}
{{- fail (printf "%s: there is none. Set %s.existingSecret to a Secret with the address of yours, or %s.bundled.enabled=true." $name $name $name) }}
{{- end }}
{{- end }}
{{- if and $v.store.bundled.enabled (or $v.store.url $v.store.existingSecret $v.store.endpoint) }}
{{- fail "store: both the bundled one and yours are named. Set store.bundled.enabled=false to use yours." }}
{{- else if not (or $v.store.bundled.enabled $v.store.url) }}
{{- fail "store: there is none. Set store.url to s3://bucket/prefix of yours, or store.bundled.enabled=true." }}
{{- end }}
{{- if and (hasPrefix "http://" $v.store.endpoint) (not $v.store.allowHttp) }}
{{- fail "store.endpoint is not encrypted. Use https://, or set store.allowHttp=true if that is meant." }}
{{- end }}
{{- if and $v.database.bundled.enabled $v.database.directUrlKey }}
{{- fail "database.directUrlKey is for a pooler of yours; the bundled Postgres has none. Leave it empty." }}
{{- end }}
{{- if and $v.migrations.hook (or $v.database.bundled.enabled (not $v.admin.existingSecret)) }}
{{- fail "migrations.hook: a hook runs before the chart's own objects are there. Set database.existingSecret and admin.existingSecret (and database.bundled.enabled=false), or migrations.hook=false." }}
{{- end }}
{{- if and $v.api.ingress.enabled (not $v.api.ingress.host) }}
{{- fail "api.ingress.host is empty. Set the name under which the API is reached." }}
{{- end }}
{{- if and $v.settings.smtp_user (not $v.notifier.smtp.existingSecret) }}
{{- fail "settings.smtp_user needs a password. Set notifier.smtp.existingSecret to a Secret that holds it." }}
{{- end }}
{{- if and $v.notifier.smtp.existingSecret (not $v.settings.smtp_user) }}
{{- fail "notifier.smtp.existingSecret is the password of nobody. Set settings.smtp_user too." }}
{{- end }}
{{- if gt (int $v.api.autoscaling.minReplicas) (int $v.api.autoscaling.maxReplicas) }}
{{- fail "api.autoscaling: minReplicas is above maxReplicas." }}
{{- end }}
{{- include "faultline.checkPools" . }}
{{- if $v.production }}
{{- include "faultline.checkProduction" . }}
{{- end }}
{{- end }}

{{- define "faultline.checkPools" }}
{{- $pools := include "faultline.pools" . | fromYaml }}
{{- range list "training-cpu" "analysis" }}
{{- if not (hasKey $pools .) }}
{{- fail (printf "training.pools: %s is missing, and runs that name no pool would wait for it for ever. Add training.pools.%s: {}." . .) }}
{{- end }}
{{- end }}
{{- range $name, $pool := $pools }}
{{- $scaling := $pool.autoscaling }}
{{- if and (eq $pool.resourceClass "gpu") (gt (int $pool.slots) 1) }}
{{- fail (printf "training.pools.%s: a gpu pool has one slot in a pod, for a GPU is not shared. Set slots: 1 and more replicas." $name) }}
{{- end }}
{{- if and $scaling.enabled (gt (int $scaling.minReplicas) (int $scaling.maxReplicas)) }}
{{- fail (printf "training.pools.%s.autoscaling: minReplicas is above maxReplicas." $name) }}
{{- end }}
{{- $whenIdle := or (eq $scaling.scaleIn "whenIdle") (and (eq $scaling.scaleIn "auto") (eq $pool.resourceClass "gpu")) }}
{{- if and $scaling.enabled $whenIdle (gt (int $scaling.minReplicas) 0) }}
{{- fail (printf "training.pools.%s.autoscaling: whenIdle takes all pods away at once, so it never goes down to minReplicas: %d. Set minReplicas: 0, or scaleIn: gradual." $name (int $scaling.minReplicas)) }}
{{- end }}
{{- end }}
{{- if and (eq (include "faultline.scales" .) "true") .Values.database.bundled.enabled .Values.networkPolicy.enabled (not .Values.networkPolicy.kedaFrom) }}
{{- fail "networkPolicy.kedaFrom is empty, so KEDA could not ask the bundled Postgres. Set it, e.g. to [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: keda}}}]." }}
{{- end }}
{{- end }}

{{- define "faultline.checkProduction" }}
{{- $v := .Values }}
{{- range $name, $engine := dict "database" $v.database "broker" $v.broker "store" $v.store }}
{{- if $engine.bundled.enabled }}
{{- fail (printf "production: %s.bundled is for evaluation. Set %s.bundled.enabled=false and name yours." $name $name) }}
{{- end }}
{{- end }}
{{- range $name, $secret := dict "secrets" $v.secrets "admin" $v.admin }}
{{- if not $secret.existingSecret }}
{{- fail (printf "production: %s.existingSecret is empty. Name a Secret that you keep; made ones are for evaluation." $name) }}
{{- end }}
{{- end }}
{{- if not $v.networkPolicy.enabled }}
{{- fail "production: networkPolicy.enabled is false. Leave it true, and name more peers where something is missing." }}
{{- end }}
{{- $images := dict }}
{{- range list "api" "dispatcher" "reconciler" "generation" "hpo" "notifier" }}
{{- $_ := set $images . (index $v .).image }}
{{- end }}
{{- range $name, $pool := include "faultline.pools" . | fromYaml }}
{{- $_ := set $images (printf "training.pools.%s" $name) $pool.image }}
{{- end }}
{{- range $name, $image := $images }}
{{- if not $image.digest }}
{{- fail (printf "production: %s.image.digest is empty. Name the digest, for a tag may change what runs." $name) }}
{{- end }}
{{- end }}
{{- end }}
