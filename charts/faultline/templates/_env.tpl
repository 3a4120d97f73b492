{{/* The environment of our processes. All of it stands in the pod, so that what changes rolls out. */}}

{{- define "faultline.fromSecret" -}}
- name: {{ .env }}
  valueFrom:
    secretKeyRef:
      name: {{ .secret }}
      key: {{ .key }}
{{- end }}

{{- define "faultline.publicUrl" -}}
{{- $ingress := .Values.api.ingress }}
{{- if .Values.publicUrl }}
{{- .Values.publicUrl }}
{{- else if and $ingress.enabled $ingress.host }}
{{- printf "%s://%s" ($ingress.tlsSecret | empty | ternary "http" "https") $ingress.host }}
{{- end }}
{{- end }}

{{/* FAULTLINE_POOLS, the same for all. */}}
{{- define "faultline.poolList" -}}
{{- $list := list (dict "name" "generation") (dict "name" "hpo") }}
{{- range $name, $pool := include "faultline.pools" . | fromYaml }}
{{- $list = append $list (dict "name" $name "lead" $pool.lead "resource_class" $pool.resourceClass "price_per_hour" $pool.pricePerHour) }}
{{- end }}
{{- toJson $list }}
{{- end }}

{{/* Takes root, needs: of broker, store, keys, mail. */}}
{{- define "faultline.env" -}}
{{- $v := .root.Values }}
{{- $database := include "faultline.secret" (dict "root" .root "name" "database" "existing" $v.database.existingSecret) }}
{{- $broker := include "faultline.secret" (dict "root" .root "name" "broker" "existing" $v.broker.existingSecret) }}
- name: PYTHONUNBUFFERED
  value: "1"
- name: HOME
  value: /tmp
{{ include "faultline.fromSecret" (dict "env" "FAULTLINE_DATABASE_URL" "secret" $database "key" $v.database.urlKey) }}
{{- with $v.database.directUrlKey }}
{{ include "faultline.fromSecret" (dict "env" "FAULTLINE_DATABASE_DIRECT_URL" "secret" $database "key" .) }}
{{- end }}
- name: PGSSLMODE
  value: {{ $v.database.bundled.enabled | ternary "disable" $v.database.sslMode }}
{{- if has "broker" .needs }}
{{ include "faultline.fromSecret" (dict "env" "CELERY_BROKER_URL" "secret" $broker "key" $v.broker.urlKey) }}
{{- if $v.broker.mirrorResults }}
{{ include "faultline.fromSecret" (dict "env" "CELERY_RESULT_BACKEND" "secret" $broker "key" $v.broker.urlKey) }}
{{- end }}
{{- else }}
- name: CELERY_BROKER_URL
  value: memory://
{{- end }}
{{ include "faultline.storeEnv" . }}
{{- if $v.caBundle.existingSecret }}
- name: SSL_CERT_FILE
  value: /etc/faultline/ca/{{ $v.caBundle.key }}
- name: PGSSLROOTCERT
  value: /etc/faultline/ca/{{ $v.caBundle.key }}
{{- end }}
{{- if has "keys" .needs }}
{{- $keys := include "faultline.secret" (dict "root" .root "name" "keys" "existing" $v.secrets.existingSecret) }}
{{ include "faultline.fromSecret" (dict "env" "FAULTLINE_SECRET_KEYS" "secret" $keys "key" $v.secrets.secretKeysKey) }}
{{ include "faultline.fromSecret" (dict "env" "FAULTLINE_SEAL_KEYS" "secret" $keys "key" $v.secrets.sealKeysKey) }}
- name: FAULTLINE_PUBLIC_URL
  value: {{ include "faultline.publicUrl" .root | quote }}
{{- end }}
- name: FAULTLINE_POOLS
  value: {{ include "faultline.poolList" .root | quote }}
{{- $mail := has "mail" .needs }}
{{- range $name, $value := $v.settings }}
{{- if or $mail (ne $name "smtp_user") }}
- name: FAULTLINE_{{ upper $name }}
  value: {{ kindIs "string" $value | ternary $value (toJson $value) | quote }}
{{- end }}
{{- end }}
{{- end }}

{{/* Its address for all, since settings want one; its keys for those that use it. */}}
{{- define "faultline.storeEnv" -}}
{{- $store := .root.Values.store }}
{{- $secret := include "faultline.secret" (dict "root" .root "name" "store" "existing" $store.existingSecret) }}
- name: FAULTLINE_ARTIFACT_STORE_URL
  value: {{ $store.bundled.enabled | ternary "s3://faultline" $store.url }}
{{- if $store.bundled.enabled }}
- name: FAULTLINE_S3_ENDPOINT
  value: http://{{ include "faultline.fullname" .root }}-store:8333
{{- else if $store.endpoint }}
- name: FAULTLINE_S3_ENDPOINT
  value: {{ $store.endpoint }}
{{- end }}
- name: FAULTLINE_S3_ALLOW_HTTP
  value: {{ or $store.bundled.enabled $store.allowHttp | quote }}
- name: FAULTLINE_S3_PATH_STYLE
  value: {{ or $store.bundled.enabled $store.pathStyle | quote }}
{{- if or $store.region $store.bundled.enabled }}
- name: FAULTLINE_S3_REGION
  value: {{ $store.region | default "us-east-1" }}
{{- end }}
{{- with $store.publicEndpoint }}
- name: FAULTLINE_S3_PUBLIC_ENDPOINT
  value: {{ . }}
{{- end }}
{{- if and (has "store" .needs) (or $store.bundled.enabled $store.existingSecret) }}
{{ include "faultline.fromSecret" (dict "env" "FAULTLINE_S3_ACCESS_KEY_ID" "secret" $secret "key" $store.accessKeyIdKey) }}
{{ include "faultline.fromSecret" (dict "env" "FAULTLINE_S3_SECRET_ACCESS_KEY" "secret" $secret "key" $store.secretAccessKeyKey) }}
{{- end }}
{{- end }}
