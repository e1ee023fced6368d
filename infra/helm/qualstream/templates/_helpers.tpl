{{- define "qualstream.labels" -}}
app.kubernetes.io/name: qualstream
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- define "qualstream.selector" -}}
app.kubernetes.io/name: qualstream
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "qualstream.required" -}}
{{- $unset := "is not set; the chart brings none of its own" }}
{{- $_ := required (printf "settings.kafka_url %s" $unset) .Values.settings.kafka_url }}
{{- $_ := required (printf "settings.database_url %s" $unset) .Values.settings.database_url }}
{{- $_ := required (printf "settings.qdrant_url %s" $unset) .Values.settings.qdrant_url }}
{{- $_ := required "existingSecret is not set; name a secret with QUALSTREAM_DATABASE_PASSWORD and the like" .Values.existingSecret }}
{{- end }}
